/**
 * Counters in every branch of a bundle, and the words that its parsers compare with. A count is a
 * byte of `globalThis.__branches`.
 *
 * @module
 */
import { parseAst } from "rolldown/parseAst";

/** The code with counters, how many they are, and the strings in it. */
export function instrument(code) {
  const edits = [];
  const words = new Set();
  let branches = 0;
  const count = () => `__branches[${branches++}]++`;
  const open = (at) => edits.push({ at, text: `${count()};` });
  const wrap = ({ start, end }, before, after) => {
    edits.push({ at: start, text: before, size: end - start });
    edits.push({ at: end, text: after, isEnd: true, size: end - start });
  };
  const statement = (node) => {
    if (node && node.type !== "BlockStatement") wrap(node, `{${count()};`, "}");
  };
  const visit = (node) => {
    if (node === null || typeof node !== "object") return;
    if (Array.isArray(node)) return node.forEach(visit);
    switch (node.type) {
      case "BlockStatement":
        open(node.start + 1);
        break;
      case "IfStatement":
        statement(node.consequent);
        if (node.alternate?.type !== "IfStatement") statement(node.alternate);
        break;
      case "ForStatement":
      case "ForOfStatement":
      case "WhileStatement":
        statement(node.body);
        break;
      case "SwitchCase":
        if (node.consequent.length > 0) open(node.consequent[0].start);
        break;
      case "ConditionalExpression":
        for (const arm of [node.consequent, node.alternate]) wrap(arm, `(${count()},(`, "))");
        break;
      case "LogicalExpression":
        wrap(node.right, `(${count()},(`, "))");
        break;
      case "Literal":
        if (typeof node.value === "string" && /^.{2,40}$/s.test(node.value)) words.add(node.value);
        break;
    }
    for (const value of Object.values(node)) visit(value);
  };
  visit(parseAst(code).body);
  // At one place: ends before beginnings, inner ends first, outer beginnings first.
  edits.forEach((edit, order) => (edit.order = order));
  edits.sort(
    (a, b) =>
      a.at - b.at ||
      (b.isEnd ? 1 : 0) - (a.isEnd ? 1 : 0) ||
      (a.isEnd
        ? a.size - b.size || b.order - a.order
        : (b.size ?? 0) - (a.size ?? 0) || a.order - b.order),
  );
  let at = 0;
  let out = "";
  for (const edit of edits) {
    out += code.slice(at, edit.at) + edit.text;
    at = edit.at;
  }
  return { code: out + code.slice(at), branches, words: [...words] };
}
