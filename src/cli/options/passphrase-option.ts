/**
 * `--passphrase-file`: where the passphrase of a key comes from.
 *
 * @module
 */
import { Option } from "commander";
import { UsageError } from "../../errors.ts";
import { type PassphraseSource, parsePassphraseSource } from "../../keys/passphrase-source.ts";

/** The option, read as {@link PassphraseSource}. */
export function passphraseFile(what: string): Option {
  const option = new Option(
    "--passphrase-file <file>",
    `${what}: the first line of a file, of env:NAME or of fd:N (default: asks)`,
  );
  return option.argParser((text: string, before: PassphraseSource | undefined) => {
    if (before !== undefined) {
      throw new UsageError("USAGE", "--passphrase-file: given twice, expected one");
    }
    if (text !== "") return parsePassphraseSource(text);
    throw new UsageError("USAGE", "--passphrase-file: expected a value, got an empty string");
  });
}
