/** Bundles, envelopes, statements, policies and keys: what is read is written and read the same. */
import { formatEnvelope, parseBundle } from "../../../src/trust/bundle.ts";
import { formatPolicy, parsePolicy } from "../../../src/trust/policy-file.ts";
import { readPolicy } from "../../../src/trust/policy-chain.ts";
import { type Statement, formatStatement, parseStatement } from "../../../src/trust/statement.ts";
import { parsePublicKey } from "../../../src/trust/public-key.ts";
import { accepted, same } from "../invariant.ts";

export function fuzz(data: Uint8Array): void {
  const envelope = accepted(() => parseBundle(data));
  if (envelope !== undefined) {
    same(envelope, parseBundle(formatEnvelope(envelope)), "envelope");
    fuzzStatement(envelope.payload);
  }
  fuzzStatement(data);
  const policy = accepted(() => parsePolicy(data));
  if (policy?.content !== undefined) {
    same(policy.content, parsePolicy(formatPolicy(policy.content)).content, "policy");
  }
  accepted(() => readPolicy(data));
  accepted(() => parsePublicKey(Buffer.from(data).toString("latin1")));
}

function fuzzStatement(payload: Uint8Array): void {
  const unbound = accepted(() => parseStatement(payload));
  const [subject] = unbound?.subjects ?? [];
  if (unbound === undefined || subject === undefined) return;
  const statement: Statement = { ...unbound.predicate, ...subject };
  const bytes = accepted(() => formatStatement(statement));
  if (bytes === undefined) return;
  const { subjects, predicate } = parseStatement(bytes);
  same(statement, { ...predicate, ...subjects[0] }, "statement");
}
