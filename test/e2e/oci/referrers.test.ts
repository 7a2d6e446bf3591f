/** Lists of referrers: what registries answer that have none, and lists that do not end. */
import { writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { NetworkError, SealfsError } from "../../../src/errors.ts";
import { noPatience } from "../../../src/http/patience.ts";
import { limits } from "../../../src/limits.ts";
import type { OciDigest } from "../../../src/oci/digest.ts";
import {
  addToFallback,
  listReferrers,
  listsByItself,
  referrersTag,
} from "../../../src/oci/registry/referrers.ts";
import { Registry } from "../../../src/oci/registry/registry.ts";
import { putManifest, uploadBlob } from "../../../src/oci/registry/upload.ts";
import { lower } from "../../support/limits.ts";
import { types } from "../../support/oci.ts";
import { type RegistryHabits, TestRegistry, sha256 } from "../../support/registry.ts";
import { scratchFolder } from "../../support/scratch.ts";

const REPO = "team/app";
const KIND = "application/vnd.test";
const subject = sha256(Buffer.from("subject")) as OciDigest;

type Answer = (request: IncomingMessage, response: ServerResponse, url: URL) => void;

/** A registry that answers so when it is asked for what refers to an image. */
async function start(onReferrers: Answer, habits: RegistryHabits = {}) {
  const server = await TestRegistry.start({
    ...habits,
    intercept: (request, response) => {
      const url = new URL(request.url!, "http://x/");
      if (!url.pathname.includes("/referrers/"))
        return habits.intercept?.(request, response) === true;
      onReferrers(request, response, url);
      return true;
    },
  });
  const authFile = join(scratchFolder(), "auth.json");
  writeFileSync(authFile, "{}");
  const place = { host: server.host, repository: REPO };
  const registry = new Registry(place, { authFile, patience: noPatience });
  onTestFinished(() => registry.close());
  return { server, registry };
}

const entry = (n: number, artifactType = KIND) => ({
  mediaType: types.manifest,
  digest: sha256(Buffer.from(String(n))) as OciDigest,
  size: 1,
  artifactType,
  annotations: {},
});

const index = (entries: unknown[] = []) =>
  JSON.stringify({ schemaVersion: 2, mediaType: types.index, manifests: entries });

const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => "accepted",
    (error: unknown) => (error instanceof SealfsError ? error.code : String(error)),
  );

const answers: [string, Answer][] = [
  ...[400, 401, 403, 404, 405, 406, 410, 500, 501, 502].map((status): [string, Answer] => [
    `status ${status}`,
    (_, response) => response.writeHead(status).end(status === 500 ? "<h1>oh</h1>" : undefined),
  ]),
  ["status 204", (_, response) => response.writeHead(204).end()],
  [
    "status 401 that asks for credentials again and again",
    (_, response) =>
      response.writeHead(401, { "www-authenticate": 'Basic realm="elsewhere"' }).end(),
  ],
  [
    "a page for people",
    (_, response) =>
      response
        .writeHead(200, { "content-type": "text/html; charset=utf-8" })
        .end("<html>".padEnd(5 * 1024 * 1024)),
  ],
  ["a document without a type", (_, response) => response.end("not found")],
  [
    "another document",
    (_, response) =>
      response.writeHead(200, { "content-type": "application/json" }).end('{"errors":[]}'),
  ],
  [
    "a redirect that goes round",
    ({ url }, response) => response.writeHead(302, { location: url! }).end(),
  ],
  ["a redirect to nowhere", (_, response) => response.writeHead(302, { location: "x:" }).end()],
];

describe.each(answers)("a registry that answers with %s", (what, answer) => {
  test("has the list under the tag: who pushes and who pulls agree", async () => {
    const { registry } = await start(answer);
    const bytes = Buffer.from(JSON.stringify({ subject: { digest: subject } }));
    await putManifest(registry, sha256(bytes), types.manifest, bytes);
    expect(await listsByItself(registry, subject, entry(1))).toBe(false);
    await addToFallback(registry, subject, entry(1));
    await addToFallback(registry, subject, entry(2));
    const found = await listReferrers(registry, subject, KIND);
    expect(found.map(({ digest }) => digest)).toEqual([entry(1).digest, entry(2).digest]);
  });

  test("has none where there is no tag either, unless it is out of order", async () => {
    const { registry } = await start(answer);
    const listed = listReferrers(registry, subject, KIND);
    if (/50[02]/.test(what)) await expect(listed).rejects.toMatchObject({ code: "STATUS" });
    else expect(await listed).toEqual([]);
  });
});

test.each([401, 403, 404, 410])(
  "status %s for the tag says that it is not there: it is made, and found",
  async (status) => {
    let isThere = false;
    const { registry } = await start((_, response) => response.writeHead(404).end(), {
      intercept: ({ method, url }, response) => {
        if (!url!.includes(`/manifests/${referrersTag(subject)}`)) return false;
        if (method === "PUT") isThere = true;
        if (isThere) return false;
        response.writeHead(status).end();
        return true;
      },
    });
    expect(await listReferrers(registry, subject, KIND)).toEqual([]);
    await addToFallback(registry, subject, entry(1));
    expect(await listReferrers(registry, subject, KIND)).toHaveLength(1);
  },
);

test("a list under the tag has no more entries than are read", async () => {
  lower("indexEntries", 3);
  const { server, registry } = await start((_, response) => response.writeHead(404).end());
  for (let n = 1; n <= limits.indexEntries; n++) await addToFallback(registry, subject, entry(n));
  const writes = server.requests(/^PUT/).length;
  expect(await refusal(addToFallback(registry, subject, entry(9)))).toBe("LIMIT");
  expect(server.requests(/^PUT/)).toHaveLength(writes);
  expect(await listReferrers(registry, subject, KIND)).toHaveLength(limits.indexEntries);
});

test("a list under the tag that cannot be read now is not written anew", async () => {
  const { server, registry } = await start((_, response) => response.writeHead(404).end(), {
    intercept: ({ method, url }, response) => {
      if (method !== "GET" || !url!.includes("/manifests/sha256-")) return false;
      response.writeHead(500).end();
      return true;
    },
  });
  expect(await refusal(addToFallback(registry, subject, entry(1)))).toBe("STATUS");
  expect(server.requests(/^PUT/)).toEqual([]);
});

test.each(["application/json", "text/plain", "application/octet-stream", ""])(
  "a list under the tag with the media type %s keeps its entries",
  async (type) => {
    const { server, registry } = await start((_, response) => response.writeHead(404).end());
    const tag = referrersTag(subject);
    const other = index([entry(1), entry(2, "application/vnd.other")]);
    server.addManifest(REPO, tag, type, Buffer.from(other));
    await addToFallback(registry, subject, entry(3));
    expect(await listReferrers(registry, subject, KIND)).toHaveLength(2);
    const { manifests } = JSON.parse(server.repository(REPO).manifests.get(tag)!.bytes.toString());
    expect(manifests).toHaveLength(3);
  },
);

test.each(["application/json", "Application/Vnd.OCI.Image.Index.V1+JSON; charset=utf-8"])(
  "the registry's own list may come as %s",
  async (type) => {
    const { registry } = await start((_, response) =>
      response.writeHead(200, { "content-type": type }).end(index([entry(1)])),
    );
    expect(await listReferrers(registry, subject, KIND)).toHaveLength(1);
    expect(await listsByItself(registry, subject, entry(1))).toBe(true);
  },
);

describe("statuses of success", () => {
  test.each([200, 201, 202, 204])("%s says that a manifest or a blob was taken", async (status) => {
    const { server, registry } = await start((_, response) => response.end(), {
      intercept: (request, response) => {
        const writeHead = response.writeHead.bind(response);
        const isPut = request.method === "PUT";
        response.writeHead = ((code: number, headers: Record<string, string>) => {
          if (!isPut || code !== 201) return writeHead(code, headers);
          return writeHead(status, headers);
        }) as typeof response.writeHead;
        return false;
      },
    });
    const bytes = Buffer.from('{"subject":null}');
    await putManifest(registry, "1.0", types.manifest, Buffer.from("{}"));
    expect((await uploadBlob(registry, bytes)).how).toBe("sent");
    expect(server.blobs.get(sha256(bytes))).toEqual(bytes);
  });

  test("302 says nothing of the kind", async () => {
    const { registry } = await start((_, response) => response.end(), {
      intercept: ({ method }, response) => {
        if (method !== "PUT") return false;
        response.writeHead(302, { location: "/elsewhere" }).end();
        return true;
      },
    });
    const put = putManifest(registry, "1.0", types.manifest, Buffer.from("{}"));
    expect(await refusal(put)).toBe("BAD_RESPONSE");
  });
});

describe("a list that does not end", () => {
  /** Each page has these entries and leads to another one. */
  const pages = (entriesOf: (page: number) => unknown[], last = Infinity): Answer => {
    return (_, response, url) => {
      const page = Number(url.searchParams.get("page") ?? 1);
      const link = `<${url.pathname}?page=${page + 1}>; rel="next"`;
      const headers = { "content-type": types.index, ...(page < last ? { link } : {}) };
      response.writeHead(200, headers).end(index(entriesOf(page)));
    };
  };
  const most = limits.referrerPages;

  test("is read up to a number of pages, no more", async () => {
    const { registry } = await start(pages((page) => [entry(page)], most));
    expect(await listReferrers(registry, subject, KIND)).toHaveLength(most);
    const { server, registry: further } = await start(pages((page) => [entry(page)], most + 1));
    expect(await refusal(listReferrers(further, subject, KIND))).toBe("LIMIT");
    expect(server.requests(/referrers/)).toHaveLength(most);
  });

  test.each([
    ["nothing", () => []],
    ["the same", () => [entry(1)]],
    ["what is broken", () => [{}, { digest: "md5:x" }]],
    ["others' artifacts", (page: number) => [entry(page, "application/vnd.other")]],
  ])("is ended when it goes on with %s", async (_, entriesOf) => {
    const { registry } = await start(pages(entriesOf));
    expect(await refusal(listReferrers(registry, subject, KIND))).toBe("LIMIT");
  });

  test("is read up to a number of bytes, however they are divided", async () => {
    const size = limits.manifestBytes;
    const count = limits.referrersBytes / size;
    const sized =
      (last: number): Answer =>
      (_, response, url) => {
        const page = Number(url.searchParams.get("page") ?? 1);
        const link = { link: `<?page=${page + 1}>; rel=next` };
        const headers = { "content-type": types.index, ...(page < count + 1 ? link : {}) };
        response.writeHead(200, headers);
        response.end(index(page === 1 ? [entry(1)] : []).padEnd(page > count ? last : size));
      };
    const { registry } = await start(sized(0));
    // The last page is there for its length alone.
    expect(await refusal(listReferrers(registry, subject, KIND))).toBe("LIMIT");
    const upTo: Answer = (request, response, url) => {
      if (url.searchParams.get("page") !== String(count)) return sized(0)(request, response, url);
      response.writeHead(200, { "content-type": types.index }).end(index([]).padEnd(size));
    };
    const { registry: full } = await start(upTo);
    expect(await listReferrers(full, subject, KIND)).toHaveLength(1);
  });

  test("ends where it leads back to a page that was read", async () => {
    const { server, registry } = await start((_, response, url) => {
      const page = Number(url.searchParams.get("page") ?? 0);
      const link = `<?page=${(page % 3) + 1}>; rel="next"`;
      response.writeHead(200, { "content-type": types.index, link }).end(index([entry(page)]));
    });
    expect(await listReferrers(registry, subject, KIND)).toHaveLength(4);
    expect(server.requests(/referrers/)).toHaveLength(4);
  });

  test("ends with as many entries as are looked at", async () => {
    const all = Array.from({ length: limits.referrers + 1 }, (_, n) => entry(n));
    const { registry } = await start(
      pages((page) => (page === 1 ? all.slice(0, -1) : [all.at(-1)])),
    );
    expect(await listReferrers(registry, subject, KIND)).toHaveLength(limits.referrers);
    const { registry: more } = await start(pages(() => all));
    expect(await listReferrers(more, subject, KIND)).toHaveLength(limits.referrers);
  });

  test("goes on only by a link that says so, and on the same server", async () => {
    const links: [string | string[], number][] = [
      ['</other>; rel="prev", <?page=2>; title="x"; rel="next"', 2],
      [["</other>; rel=prev", "<?page=2>; rel=next"], 2],
      ['<?page=2>; rel="last next"', 2],
      ['<http://192.0.2.1/?page=2>; rel="next"', 1],
      ['<?page=2>; rel="nextish"', 1],
      ['<?page=2>; title="rel=next"', 1],
      ["nonsense", 1],
    ];
    for (const [link, count] of links) {
      const { server, registry } = await start((_, response, url) => {
        const isFirst = !url.searchParams.has("page");
        response
          .writeHead(200, { "content-type": types.index, ...(isFirst ? { link } : {}) })
          .end(index([entry(isFirst ? 1 : 2)]));
      });
      expect([link, (await listReferrers(registry, subject, KIND)).length]).toEqual([link, count]);
      expect(server.requests(/referrers/)).toHaveLength(count);
    }
  });

  test("is an error where a later page is refused", async () => {
    const { registry } = await start((request, response, url) => {
      if (!url.searchParams.has("page")) return pages(() => [entry(1)])(request, response, url);
      response.writeHead(404).end();
    });
    expect(await refusal(listReferrers(registry, subject, KIND))).toBe("NOT_FOUND");
  });
});

test("a registry that is out of order says so in its own words, where there is no list", async () => {
  const words = JSON.stringify({ errors: [{ code: "UNKNOWN", message: "database is away" }] });
  const { registry } = await start((_, response) => response.writeHead(500).end(words));
  const error = await listReferrers(registry, subject, KIND).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(NetworkError);
  expect((error as Error).message).toContain("UNKNOWN: database is away");
});
