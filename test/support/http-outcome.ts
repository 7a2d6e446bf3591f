/**
 * What a client makes of a request.
 *
 * @module
 */
import { onTestFinished } from "vitest";
import { SealfsError } from "../../src/errors.ts";
import { HttpClient, type HttpClientOptions } from "../../src/http/client.ts";

/** The body, or the error; the client ends with the test. */
export async function outcomeOf(
  url: string,
  expectedSize: number,
  options: HttpClientOptions,
): Promise<string | SealfsError> {
  const client = new HttpClient({ headersMs: 600_000, ...options });
  onTestFinished(() => client.close());
  try {
    const response = await client.get(new URL(url), { expectedSize });
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  } catch (error) {
    if (error instanceof SealfsError) return error;
    throw error;
  }
}
