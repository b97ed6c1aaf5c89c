/**
 * What one response adds up to: its output so far, how it stands, how it ended. Pure.
 *
 *     response.created -> deltas -> one terminal          (events of the room's log)
 *     response object of a snapshot -------^              (the same place, reached at once)
 *
 * Invariants
 *   A1  An answer that was folded from events equals the one that was taken from a snapshot and the rest.
 *   A2  After the terminal nothing changes but what a retraction takes away.
 *   A3  An event type that is not known changes nothing.
 */

/** Statuses of a response that has no terminal yet. */
const OPEN = new Set(["queued", "in_progress", "cancelling"]);

/**
 * @typedef {object} Part
 * @property {string} type `output_text`, `refusal`, `reasoning_text` or `summary_text`.
 * @property {string} text
 *
 * @typedef {object} Output One output item: a message, reasoning, a tool call.
 * @property {string} id
 * @property {string} type
 * @property {number} index
 * @property {Part[]} parts
 * @property {string} [name] Of a tool.
 * @property {string} [arguments] Of a tool call, as far as it is known.
 *
 * @typedef {object} Answer
 * @property {string} id
 * @property {number} seq Where it stands in the log; Infinity while unknown.
 * @property {string} status `queued`, `in_progress`, `cancelling`, or the terminal.
 * @property {Output[]} outputs
 * @property {{id: string, name: string} | null} by Who asked.
 * @property {string | null} promptId The item that it answers.
 * @property {{at: number, chars: number} | null} pace From where the speed is measured while it runs.
 */

/** @returns {Answer} */
export function newAnswer(id) {
  return {
    id, seq: Infinity, at: null, status: "queued", outputs: [], by: null, promptId: null, model: null, simulated: false,
    usage: null, timings: null, receipt: null, error: null, reason: null, cause: null, retryable: false, stopper: null,
    pace: null, chars: 0, lastAt: null,
  };
}

/** Whether the answer has no terminal yet. */
export function isOpen(answer) {
  return OPEN.has(answer.status);
}

/** Whether the model is at work on it. */
export function isRunning(answer) {
  return answer.status === "in_progress" || answer.status === "cancelling";
}

/** All text of the answer, as it counts for the digest. */
export function answerText(answer) {
  return answer.outputs.flatMap((output) => output.parts.filter((part) => part.type === "output_text"))
    .map((part) => part.text).join("");
}

/**
 * Tokens a second: measured once it has ended, guessed from the text while it runs.
 *
 * @returns {{rate: number, exact: boolean} | null}
 */
export function speed(answer) {
  const { usage, timings } = answer;
  if (usage?.output_tokens && timings?.total_ms > timings?.first_output_ms) {
    const rate = usage.output_tokens / ((timings.total_ms - timings.first_output_ms) / 1000);
    return { rate, exact: usage.source !== "estimated" };
  }
  if (!isRunning(answer) || !answer.pace || answer.lastAt - answer.pace.at < 400) return null;
  return { rate: (answer.chars - answer.pace.chars) / 4 / ((answer.lastAt - answer.pace.at) / 1000), exact: false };
}

/** Take over what a response object says: of a snapshot, or of a lifecycle event. */
export function takeResponse(answer, response) {
  answer.status = response.status ?? answer.status;
  answer.model = response.model ?? answer.model;
  answer.by = response.by ?? answer.by;
  answer.usage = response.usage ?? answer.usage;
  answer.timings = response.timings ?? answer.timings;
  answer.receipt = response.receipt ?? answer.receipt;
  answer.error = response.error ?? answer.error;
  answer.cause = response.cause ?? answer.cause;
  answer.reason = response.incomplete_details?.reason ?? response.reason ?? answer.reason;
  if (answer.reason === "interrupted") answer.status = "interrupted";
  if (response.simulated || String(response.metadata?.simulated) === "true") answer.simulated = true;
  if (response.output?.length) response.output.forEach((item, index) => takeItem(answer, item, index));
}

/** Take over an output item as it stands; whole text replaces what deltas gave. */
export function takeItem(answer, item, index) {
  const output = outputOf(answer, item.id, index ?? answer.outputs.length);
  output.type = item.type ?? output.type;
  output.name = item.name ?? output.name;
  output.arguments = item.arguments || output.arguments;
  if (item.status === "retracted") output.parts = [];
  const parts = [...(item.summary ?? []), ...(Array.isArray(item.content) ? item.content : [])];
  if (parts.length) output.parts = parts.map((part) => ({ type: part.type, text: part.text ?? part.refusal ?? "" }));
  count(answer);
}

/**
 * Fold one `response.*` event into the answer.
 *
 * @param {Answer} answer
 * @param {object} event
 */
export function foldAnswer(answer, event) {
  const step = STEPS[event.type] ?? (TERMINAL.test(event.type) ? end : null);
  if (step) step(answer, event);
}

const TERMINAL = /^response\.(completed|incomplete|failed|cancelled|interrupted)$/;

const STEPS = {
  "response.created": begin,
  "response.queued": begin,
  "response.in_progress": begin,
  "response.cancelling": (answer, event) => {
    answer.status = "cancelling";
    answer.stopper = event.by ?? null;
  },
  "response.output_item.added": (answer, event) => takeItem(answer, event.item, event.output_index),
  "response.output_item.done": (answer, event) => takeItem(answer, event.item, event.output_index),
  "response.output_text.delta": addText("output_text"),
  "response.output_text.done": setText("output_text"),
  "response.refusal.delta": addText("refusal"),
  "response.refusal.done": setText("refusal"),
  "response.reasoning_text.delta": addText("reasoning_text"),
  "response.reasoning_text.done": setText("reasoning_text"),
  "response.reasoning_summary_text.delta": addText("summary_text", "summary_index"),
  "response.reasoning_summary_text.done": setText("summary_text", "summary_index"),
  "response.function_call_arguments.delta": (answer, event) => {
    const output = outputOf(answer, event.item_id, event.output_index);
    output.arguments = (output.arguments ?? "") + event.delta;
  },
  "response.attempt_superseded": (answer, event) => {
    answer.outputs = answer.outputs.filter((output) => !event.item_ids.includes(output.id));
    count(answer);
  },
};

function begin(answer, event) {
  takeResponse(answer, event.response ?? {});
  answer.status = event.type === "response.in_progress" ? "in_progress" : (event.response?.status ?? answer.status);
  if (event.type !== "response.created") return;
  answer.seq = event.seq;
  answer.at = event.at;
  answer.by = event.by ?? answer.by;
}

function end(answer, event) {
  const { response, receipt, timings, cause, retryable, reason } = event;
  takeResponse(answer, { ...response, receipt: receipt ?? response?.receipt, timings: timings ?? response?.timings });
  answer.status = event.type.slice("response.".length);
  answer.cause = cause ?? answer.cause;
  answer.reason = reason ?? answer.reason;
  answer.retryable = Boolean(retryable);
}

function addText(type, indexField = "content_index") {
  return (answer, event) => {
    partOf(answer, event, type, event[indexField]).text += event.delta;
    answer.chars += event.delta.length;
    answer.lastAt = event.at;
    answer.pace ??= { at: event.at, chars: answer.chars };
  };
}

function setText(type, indexField = "content_index") {
  return (answer, event) => {
    partOf(answer, event, type, event[indexField]).text = event.text ?? event.refusal ?? "";
    count(answer);
  };
}

function partOf(answer, event, type, index = 0) {
  const { parts } = outputOf(answer, event.item_id, event.output_index);
  for (let at = parts.length; at <= index; at += 1) parts.push({ type, text: "" });
  parts[index].type = type;
  return parts[index];
}

function outputOf(answer, id, index = 0) {
  let output = answer.outputs.find((each) => each.id === id);
  if (!output) {
    output = { id, type: "message", index, parts: [] };
    answer.outputs.push(output);
    answer.outputs.sort((one, other) => one.index - other.index);
  }
  return output;
}

function count(answer) {
  answer.chars = answer.outputs.reduce((sum, { parts }) => parts.reduce((all, part) => all + part.text.length, sum), 0);
}
