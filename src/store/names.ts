/**
 * Names of images and keys as one path component: letters, digits and `._-:@+=,~` stand for
 * themselves, every other byte of the UTF-8 form, and a dot in front, is `%XX` with upper-case
 * digits. So `registry.example/app:1.0` is `registry.example%2Fapp:1.0`. Each name has one
 * component and each component at most one name; no component is hidden, `.` or `..`, and
 * `app` and `app/tool` may exist side by side.
 *
 * Spec: docs/store.md, "Images and names".
 *
 * @module
 */
import { UsageError } from "../errors.ts";
import { limits } from "../limits.ts";

const PLAIN = /[A-Za-z0-9._\-:@+=,~]/;
const COMPONENT = /^(?:[A-Za-z0-9_\-:@+=,~]|%[0-9A-F]{2})(?:[A-Za-z0-9._\-:@+=,~]|%[0-9A-F]{2})*$/;
// eslint-disable-next-line no-control-regex -- control characters are what it refuses
const CONTROL = /[\x00-\x1f\x7f]/;

/**
 * The path component of a name.
 *
 * @throws {@link UsageError} when the name is empty, starts with `-`, holds control characters or
 *   a lone surrogate, or is longer than a file name may be
 */
export function encodeName(name: string): string {
  const problem = problemOf(name);
  if (problem !== undefined) throw new UsageError("USAGE", `image name: ${problem}`);
  // None has fewer bytes once it is encoded; a longer one need not be.
  const isLong = name.length > limits.nameBytes;
  let component = "";
  for (const char of isLong ? name.slice(0, limits.nameBytes + 1) : name) {
    const plain = PLAIN.test(char) && !(component === "" && char === ".");
    component += plain ? char : percent(char);
  }
  if (component.length > limits.nameBytes) {
    throw new UsageError(
      "USAGE",
      `image name: expected at most ${limits.nameBytes} bytes once encoded, got ${component.length}${isLong ? " or more" : ""}`,
    );
  }
  return component;
}

/** The name that a path component stands for; undefined when `encodeName` never makes it. */
export function decodeName(component: string): string | undefined {
  if (component.length > limits.nameBytes || !COMPONENT.test(component)) return undefined;
  try {
    const name = decodeURIComponent(component);
    return encodeName(name) === component ? name : undefined;
  } catch {
    return undefined; // not UTF-8, or a name that is refused
  }
}

function problemOf(name: string): string | undefined {
  if (name === "") return "expected a name, got an empty string";
  if (name.startsWith("-")) return "must not start with '-'";
  if (CONTROL.test(name)) return "control characters are not allowed";
  if (/\p{Surrogate}/u.test(name)) return "expected text, got a lone surrogate";
  return undefined;
}

function percent(char: string): string {
  let text = "";
  for (const byte of new TextEncoder().encode(char)) {
    text += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}
