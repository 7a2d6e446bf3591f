/**
 * A report as Prometheus reads it (Prometheus text exposition format 0.0.4).
 *
 * @module
 */
import { latencyBounds, latencyKinds } from "../../fuse/counters.ts";
import type { MountReport } from "./report.ts";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

/** The lines of one metric. */
class Text {
  readonly #mount: Labels;
  readonly #lines: string[] = [];

  constructor(mount: Labels) {
    this.#mount = mount;
  }

  add(name: string, type: "counter" | "gauge" | "histogram", help: string): this {
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    return this;
  }

  sample(name: string, value: number, labels: Labels = {}): this {
    const all = Object.entries({ ...this.#mount, ...labels });
    const list = all.map(([key, text]) => `${key}="${escape(text)}"`).join(",");
    this.#lines.push(`${name}{${list}} ${value}`);
    return this;
  }

  metric(name: string, type: "counter" | "gauge", help: string, samples: readonly Sample[]): void {
    if (samples.length === 0) return;
    this.add(name, type, help);
    for (const [labels, value] of samples) this.sample(name, value, labels);
  }

  toString(): string {
    return `${this.#lines.join("\n")}\n`;
  }
}

/** All of a report; `up` is 0 once the mount has ended. */
export function formatMetrics(report: MountReport, up = true): string {
  const { image, mode, promise, transport = "" } = report;
  const text = new Text({ image: image.name, directory: report.target });
  const one = (value: number): Sample[] => [[{}, value]];
  const gauge = (name: string, help: string, value: number) =>
    text.metric(name, "gauge", help, one(value));
  text.metric("sealfs_mount_info", "gauge", "How the image is mounted.", [
    [{ digest: image.digest, version: String(image.version), mode, promise, transport }, 1],
  ]);
  gauge("sealfs_mount_up", "1 while the image is mounted.", up ? 1 : 0);
  const since = Date.parse(report.since) / 1000;
  gauge("sealfs_mount_start_time_seconds", "When it was mounted.", since);
  const expires = Date.parse(image.expires) / 1000;
  gauge("sealfs_image_expires_timestamp_seconds", "Until when the statement holds.", expires);
  gauge("sealfs_image_expired", "1 when that time is over.", report.expired ? 1 : 0);
  gauge("sealfs_server_resident_bytes", "Memory of the server.", report.residentBytes);
  addCounters(text, report);
  if (report.prefetch !== undefined) {
    const { objects, doneObjects, doneBytes, failed } = report.prefetch;
    gauge("sealfs_prefetch_objects", "Objects to be read ahead.", objects);
    gauge("sealfs_prefetch_done_objects", "Those that have been.", doneObjects);
    gauge("sealfs_prefetch_done_bytes", "Their bytes.", doneBytes);
    gauge("sealfs_prefetch_failed_objects", "Those that cannot be had.", failed);
  }
  addFetch(text, report);
  return text.toString();
}

function addCounters(text: Text, { counters }: MountReport): void {
  if (counters === undefined) return;
  const { requests, failures, latency } = counters;
  const counter = (name: string, help: string, value: number) =>
    text.metric(name, "counter", help, [[{}, value]]);
  text.metric(
    "sealfs_requests_total",
    "counter",
    "Requests of the kernel that were answered; it opens, and reads what it has, by itself.",
    Object.entries(requests).map(([name, count]) => [{ operation: name.toLowerCase() }, count]),
  );
  counter("sealfs_read_bytes_total", "Bytes of content given out.", counters.readBytes);
  counter("sealfs_object_opens_total", "Times that an object was opened.", counters.objectOpens);
  counter(
    "sealfs_verified_blocks_total",
    "Blocks of 4 KiB compared with their digest.",
    counters.verifiedBlocks,
  );
  counter("sealfs_hashed_bytes_total", "Bytes read to learn leaf hashes.", counters.hashedBytes);
  text.metric(
    "sealfs_failures_total",
    "counter",
    "Requests refused, by cause.",
    Object.entries(failures).map(([cause, count]) => [{ cause }, count]),
  );
  const name = "sealfs_request_duration_seconds";
  text.add(name, "histogram", "Time from a request to its answer, by kind.");
  for (const kind of latencyKinds) {
    const { buckets, sumMs } = latency[kind];
    for (const [i, count] of buckets.entries()) {
      const le = i < latencyBounds.length ? String(latencyBounds[i]! / 1000) : "+Inf";
      text.sample(`${name}_bucket`, count, { kind, le });
    }
    text.sample(`${name}_sum`, sumMs / 1000, { kind });
    text.sample(`${name}_count`, buckets.at(-1)!, { kind });
  }
}

function addFetch(text: Text, { fetch }: MountReport): void {
  if (fetch === undefined) return;
  const { sources, bytes, objects, background } = fetch;
  const add = (name: string, type: "counter" | "gauge", help: string, samples: readonly Sample[]) =>
    text.metric(`sealfs_fetch_${name}`, type, help, samples);
  const each = (value: (source: (typeof sources)[number]) => number): Sample[] =>
    sources.map((source) => [{ source: source.name }, value(source)]);
  add("bytes_total", "counter", "Bytes of objects fetched for readers.", [[{}, bytes]]);
  add("objects_total", "counter", "Objects of which something was fetched.", [[{}, objects]]);
  add(
    "source_bytes_total",
    "counter",
    "Bytes of objects by source.",
    each((one) => one.bytes),
  );
  add("source_good_total", "counter", "Requests that gave what was wanted.", each((one) => one.good)); // prettier-ignore
  add(
    "source_faults_total",
    "counter",
    "Requests that failed, by source and kind.",
    sources.flatMap(
      (source) =>
      Object.entries(source.faults).map(([kind, count]): Sample => [{ source: source.name, kind }, count]), // prettier-ignore
    ),
  );
  const help = "Until a source is asked again like any other.";
  add("source_cooling_seconds", "gauge", help, each((one) => one.coolingMs / 1000)); // prettier-ignore
  if (background === undefined) return;
  add("background_objects", "gauge", "Objects missing at the start.", [[{}, background.objects]]);
  add("background_fetched", "gauge", "Those of them that have come.", [[{}, background.fetched]]);
}

/** Label values: backslash, quote and newline are escaped. */
function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
