import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useLanguage } from "../language/language";
import { generations, send, type Generation } from "../state/chats";
import { shownMessages, siblings, type Conversation, type Message } from "../state/conversation";
import { useStore } from "../state/store";
import { Composer } from "./composer";
import { AssistantMessage, UserMessage } from "./message_view";

const NEAR = 80; // px from the end within which the view follows the text

function Greeting() {
  const { t } = useLanguage();
  return (
    <div class="greeting">
      <h1>{t.greeting}</h1>
      <p>{t.greetingText}</p>
      <ul>
        {t.examples.map((example) => (
          <li key={example}>
            <button type="button" class="example" onClick={() => void send(example)}>
              {example}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Tells screen readers of the beginning and end of thinking and answer, and of no token between. */
function Announcer({ generation, last }: { generation: Generation | undefined; last: Message | undefined }) {
  const { t } = useLanguage();
  const [text, setText] = useState("");
  const streamed = useRef(false);
  const phase = generation?.phase ?? "idle";
  useEffect(() => {
    if (phase === "thinking") setText(t.announceThinking);
    else if (phase === "answering") setText(t.announceAnswering);
    else if (phase === "idle" && streamed.current) setText(last?.error ? "" : t.announceDone);
    streamed.current = phase !== "idle";
  }, [phase]);
  return (
    <div class="visually-hidden" role="status">
      {text}
    </div>
  );
}

function Row(props: { conversation: Conversation; message: Message; generation: Generation | null; busy: boolean }) {
  const versions = siblings(props.conversation, props.message);
  // Streaming renders many times a second; a message that did not change keeps its rendering.
  return useMemo(() => {
    const View = props.message.role === "user" ? UserMessage : AssistantMessage;
    return <View message={props.message} versions={versions} generation={props.generation} busy={props.busy} />;
  }, [props.message, versions.length, props.generation, props.busy]);
}

export function ChatView({ conversation }: { conversation: Conversation }) {
  const { t } = useLanguage();
  const generation = useStore(generations).get(conversation.id);
  const messages = shownMessages(conversation);
  const scroller = useRef<HTMLDivElement>(null);
  const follows = useRef(true);

  useLayoutEffect(() => {
    follows.current = true;
  }, [conversation.id, messages.length]);
  useLayoutEffect(() => {
    if (follows.current && scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  });
  const scrolled = () => {
    const { scrollHeight, scrollTop, clientHeight } = scroller.current!;
    follows.current = scrollHeight - scrollTop - clientHeight < NEAR;
  };

  return (
    <div class="chat">
      <div class="scroller" ref={scroller} onScroll={scrolled}>
        {messages.length === 0 ? (
          <Greeting />
        ) : (
          <section class="messages" aria-label={t.log}>
            <h1 class="visually-hidden">{conversation.title || t.untitled}</h1>
            {messages.map((message) => (
              <Row
                key={message.id}
                conversation={conversation}
                message={message}
                generation={generation?.message === message.id ? generation : null}
                busy={generation !== undefined}
              />
            ))}
          </section>
        )}
      </div>
      <Announcer generation={generation} last={messages.at(-1)} />
      <Composer busy={generation !== undefined} conversation={conversation.id} />
    </div>
  );
}
