/** What a machine has set does not reach tests, nor the commands that they run. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { foreignVariables } from "../support/environment.ts";

// vitest.config.ts sets these itself.
const own = ["SEALFS_STATE", "CONTAINERS_REGISTRIES_CONF"];

test("no variable that changes certificates, proxies, places or times is set", () => {
  expect(foreignVariables(process.env).filter((name) => !own.includes(name))).toEqual([]);
  const child = spawnSync(process.execPath, ["-p", "JSON.stringify(process.env)"], {
    encoding: "utf8",
  });
  const inherited = JSON.parse(child.stdout) as NodeJS.ProcessEnv;
  expect(foreignVariables(inherited).filter((name) => !own.includes(name))).toEqual([]);
});

test.each(["NODE_EXTRA_CA_CERTS", "https_proxy", "NO_PROXY", "SEALFS_STATE", "LC_ALL", "TZ"])(
  "%s is such a variable",
  (name) => {
    expect(foreignVariables({ [name]: "x", PATH: "/bin" })).toEqual([name]);
  },
);

test.each(["SEALFS_BED", "SEALFS_POWER_LOSS", "XDG_CACHE_HOME", "PATH"])(
  "%s, by which tests are told what to use, is not",
  (name) => {
    expect(foreignVariables({ [name]: "x" })).toEqual([]);
  },
);
