/**
 * What the model answers: for whom, the text as it grows, Stop while it runs, and how it ended.
 */

import { answerText, isOpen, isRunning, speed } from "./answer-state.js";
import { Name } from "./avatar.js";
import { copyText } from "./clipboard.js";
import { AgainIcon, CopyIcon, Mark, StopIcon } from "./icons.js";
import { html } from "./lib.js";
import { Markdown } from "./markdown-view.js";
import { Clock } from "./message.js";
import { duration, ending, mayAskAgain, placeInLine } from "./words.js";

/** @param {{store: import("./store.js").Store, entryKey: string}} props */
export function AnswerView({ store, entryKey }) {
  const answer = store.entry(entryKey);
  if (!answer) return null;
  if (answer.status === "queued") return html`<${Waiting} store=${store} answer=${answer} />`;
  const running = isRunning(answer);
  return html`<article class=${running ? "answer running" : "answer"} data-response=${answer.id} data-status=${answer.status} aria-busy=${running}>
    <span class="model" aria-hidden="true"><${Mark} /></span>
    <div class="said">
      <header>
        <span>${running ? "Answering" : "Answer for"} <${AskedBy} store=${store} by=${answer.by} /></span>
        ${answer.model && html`<span class="quiet model-name">${answer.model}</span>`}
        ${answer.simulated && html`<span class="badge">simulated</span>`}
        <${Clock} at=${answer.at} />
      </header>
      <${Body} answer=${answer} running=${running} />
      <${Foot} store=${store} answer=${answer} running=${running} />
    </div>
  </article>`;
}

function AskedBy({ store, by }) {
  return by ? html`<${Name} by=${by} name=${store.isMe(by) ? "you" : by.name} />` : "the room";
}

function Body({ answer, running }) {
  const shown = answer.outputs.filter((output) => output.type !== "message" || output.parts.some((part) => part.text));
  if (shown.length === 0) return running ? html`<p class="thinking" aria-label="The model is thinking"><i /><i /><i /></p>` : null;
  return shown.map((output, index) => html`<${OutputView} key=${output.id} output=${output} done=${!running || index < shown.length - 1} />`);
}

function OutputView({ output, done }) {
  if (output.type === "function_call") return html`<${ToolCall} output=${output} />`;
  const last = output.parts.length - 1;
  if (output.type === "reasoning") {
    const text = output.parts.map((part) => part.text).join("\n\n");
    return text && html`<details class="reasoning"><summary>${done ? "How it got there" : "Thinking"}</summary><${Markdown} text=${text} done=${done} /></details>`;
  }
  return output.parts.map((part, index) => html`<${Markdown} key=${index} text=${part.text} done=${done || index < last} />`);
}

function ToolCall({ output }) {
  return html`<details class="reasoning"><summary>Used the tool <code>${output.name}</code></summary><pre>${output.arguments}</pre></details>`;
}

/** A question that waits its turn. */
function Waiting({ store, answer }) {
  const place = store.queue.value.findIndex((entry) => entry.response_id === answer.id) + 1;
  return html`<article class="answer waiting" data-response=${answer.id} data-status="queued">
    <span class="model" aria-hidden="true"><${Mark} /></span>
    <p class="quiet">${place ? placeInLine(place) : "Waits in line"}</p>
    ${mayRemove(store, answer.by) && html`<button type="button" class="text-button" onClick=${() => store.stop(answer.id)}>Cancel</button>`}
  </article>`;
}

/** Whether this member may take somebody's question out of the line. */
export function mayRemove(store, by) {
  return store.isMe(by) || store.mayModerate();
}

function Foot({ store, answer, running }) {
  const end = ending(answer, store.nameOf);
  return html`<footer>
    ${end && html`<span class=${`ending ${answer.status}`}>${end}</span>`}
    <${Numbers} answer=${answer} />
    <span class="acts">
      ${answer.status === "in_progress" && store.maySpeak() &&
      html`<button type="button" class="stop" onClick=${() => store.stop(answer.id)}><${StopIcon} />Stop</button>`}
      ${!isOpen(answer) && answerText(answer) && html`<${CopyAnswer} store=${store} answer=${answer} />`}
      ${mayAskAgain(answer) && store.maySpeak() && store.peek(`m:${answer.promptId}`) && html`<${AskAgain} store=${store} answer=${answer} />`}
    </span>
  </footer>`;
}

function Numbers({ answer }) {
  const pace = speed(answer);
  const tokens = answer.usage?.output_tokens;
  const about = answer.usage?.source === "estimated" ? "≈ " : "";
  return html`<span class="numbers">
    ${tokens > 0 && html`<span>${about}${tokens.toLocaleString()} tokens</span>`}
    ${pace && html`<span title="Tokens a second">${pace.exact ? "" : "≈ "}${pace.rate.toFixed(pace.rate < 10 ? 1 : 0)} tok/s</span>`}
    ${answer.timings?.total_ms > 0 && html`<span title="From the start to the end">${duration(answer.timings.total_ms)}</span>`}
  </span>`;
}

function CopyAnswer({ store, answer }) {
  const copy = async () => store.toast((await copyText(answerText(answer))) ? "Copied the answer." : "Copying is not allowed here.");
  return html`<button type="button" class="icon-button" title="Copy the answer" aria-label="Copy the answer" onClick=${copy}><${CopyIcon} /></button>`;
}

function AskAgain({ store, answer }) {
  const ask = () => store.say(store.peek(`m:${answer.promptId}`).text, true);
  return html`<button type="button" class="text-button" onClick=${ask}><${AgainIcon} />Ask again</button>`;
}
