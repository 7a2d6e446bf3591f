/**
 * Which machines an address leads to. What a server says must not make us ask a machine that only
 * we can reach: a redirect never leads from the outside in. What the user names may be anywhere.
 *
 * Spec: docs/hostile-inputs.md, 121; IANA
 * special-purpose address registries (RFC 6890 and updates).
 *
 * @module
 */
import { BlockList, isIP } from "node:net";

/**
 * From the outside in: anyone's machine; one that stands in for a name that is only looked up
 * behind it (a proxy that takes all connections answers names with such addresses); one of the own
 * network; this machine; and what is neither (link-local addresses, where clouds answer with
 * credentials; unspecified, multicast, reserved).
 */
export type Reach = "public" | "stand-in" | "private" | "loopback" | "special";

const order: readonly Reach[] = ["public", "stand-in", "private", "loopback", "special"];

const lists: readonly [Reach, BlockList][] = [
  ["loopback", list(["127.0.0.0/8"], ["::1/128"])],
  ["stand-in", list(["198.18.0.0/15"], [])],
  [
    "private",
    list(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"], ["fc00::/7"]),
  ],
  [
    "special",
    list(
      [
        "0.0.0.0/8",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
      ],
      ["::/128", "fe80::/10", "fec0::/10", "ff00::/8", "100::/64", "2001:db8::/32"],
    ),
  ],
];

function list(v4: readonly string[], v6: readonly string[]): BlockList {
  const blocks = new BlockList();
  for (const [family, subnets] of [["ipv4", v4] as const, ["ipv6", v6] as const]) {
    for (const subnet of subnets) {
      const [address, bits] = subnet.split("/");
      blocks.addSubnet(address!, Number(bits), family);
    }
  }
  return blocks;
}

/** Where an address in its usual notation leads to. */
export function reachOf(address: string): Reach {
  const plain = address.replace(/%.*$/, ""); // a zone id says which link
  const family = isIP(plain);
  if (family === 0) return "special";
  const inner = family === 6 ? embedded(plain) : undefined;
  if (inner !== undefined) return reachOf(inner);
  const kind = family === 6 ? "ipv6" : "ipv4";
  return lists.find(([, blocks]) => blocks.check(plain, kind))?.[0] ?? "public";
}

/**
 * The IPv4 address in an IPv6 one that leads to it: IPv4-mapped and -compatible, NAT64 (RFC 6052),
 * 6to4 (RFC 3056).
 */
function embedded(address: string): string | undefined {
  const words = wordsOf(address);
  if (words === undefined) return undefined;
  const zeros = (count: number) => words.slice(0, count).every((word) => word === 0);
  const at = (index: number) =>
    [words[index]! >> 8, words[index]! & 255, words[index + 1]! >> 8, words[index + 1]! & 255].join(
      ".",
    );
  if (zeros(5) && words[5] === 0xffff) return at(6);
  if (zeros(6) && (words[6] !== 0 || words[7]! > 1)) return at(6);
  if (words[0] === 0x64 && words[1] === 0xff9b && words.slice(2, 6).every((word) => word === 0)) {
    return at(6);
  }
  return words[0] === 0x2002 ? at(1) : undefined;
}

/** The eight words of an IPv6 address; the URL parser brings it into one form. */
export function wordsOf(address: string): number[] | undefined {
  const { hostname } = new URL(`http://[${address}]/`);
  const [head = "", tail] = hostname.slice(1, -1).split("::");
  const parse = (part: string) => (part === "" ? [] : part.split(":").map((w) => parseInt(w, 16)));
  const front = parse(head);
  const back = tail === undefined ? [] : parse(tail);
  const words = [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
  return words.length === 8 ? words : undefined;
}

/** Whether somebody who was met at `from` may send us to `to`. */
export function mayLeadTo(from: Reach, to: Reach): boolean {
  return to !== "special" && order.indexOf(to) <= order.indexOf(from);
}

/** The one of two that lies further outside. */
export function outer(a: Reach, b: Reach): Reach {
  return order.indexOf(a) <= order.indexOf(b) ? a : b;
}
