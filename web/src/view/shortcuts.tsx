import { useEffect } from "preact/hooks";
import { useLanguage } from "../language/language";
import { generations, current, stop } from "../state/chats";
import { go } from "../state/location";
import { Dialog } from "./dialog";

interface Actions {
  help: () => void;
  /** Makes the search field visible. */
  openSidebar: () => void;
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** The keys that work everywhere on the page. */
export function useShortcuts({ help, openSidebar }: Actions): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
      const command = event.ctrlKey || event.metaKey;
      const conversation = current.get();
      if (event.key === "Escape" && conversation && generations.get().has(conversation.id)) {
        stop();
      } else if (command && event.shiftKey && event.key.toLowerCase() === "o") {
        go({ view: "new" });
      } else if (command && !event.shiftKey && event.key.toLowerCase() === "k") {
        openSidebar();
        // After the sidebar, which takes the focus where it had to be opened.
        setTimeout(() => document.getElementById("search")?.focus(), 50);
      } else if (!command && event.key === "/" && !typing(event.target)) {
        document.getElementById("composer")?.focus();
      } else if (!command && event.key === "?" && !typing(event.target)) {
        help();
      } else {
        return;
      }
      event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}

export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  const { t } = useLanguage();
  const command = /mac|iphone|ipad/i.test(navigator.userAgent) ? "⌘" : "Ctrl";
  const keys: [string, string[]][] = [
    [t.shortcutList.send, ["Enter"]],
    [t.shortcutList.newLine, ["Shift", "Enter"]],
    [t.shortcutList.stop, ["Esc"]],
    [t.shortcutList.newChat, [command, "Shift", "O"]],
    [t.shortcutList.search, [command, "K"]],
    [t.shortcutList.focus, ["/"]],
    [t.shortcutList.editLast, ["↑"]],
    [t.shortcutList.help, ["?"]],
  ];
  return (
    <Dialog title={t.shortcuts} onClose={onClose}>
      <dl class="shortcuts">
        {keys.map(([name, combination]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              {combination.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
