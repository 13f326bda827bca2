import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { useLanguage } from "../language/language";
import { IconButton } from "./icon";

/** A modal dialog; the browser keeps the focus inside, and Escape closes it. */
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren }) {
  const { t } = useLanguage();
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={heading}
      onClose={props.onClose}
      onClick={(event) => event.target === event.currentTarget && event.currentTarget.close()}
    >
      <div class="dialog-content">
        <header>
          <h2 id={heading}>{props.title}</h2>
          <IconButton icon="close" label={t.close} onClick={() => dialog.current?.close()} />
        </header>
        {props.children}
      </div>
    </dialog>
  );
}

export function ConfirmDialog(props: { question: string; onConfirm: () => void; onClose: () => void }) {
  const { t } = useLanguage();
  return (
    <Dialog title={t.delete} onClose={props.onClose}>
      <p>{props.question}</p>
      <footer>
        <button type="button" class="button" onClick={props.onClose}>
          {t.cancel}
        </button>
        <button
          type="button"
          class="button danger"
          onClick={() => {
            props.onConfirm();
            props.onClose();
          }}
        >
          {t.delete}
        </button>
      </footer>
    </Dialog>
  );
}
