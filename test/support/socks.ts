/**
 * A real SOCKS5 proxy of this machine, which looks names up in a table.
 *
 * @module
 */
import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { onTestFinished } from "vitest";

export interface TestSocks {
  readonly port: number;
  /** What it was asked for: `name HOST:PORT` or `address HOST:PORT`. */
  readonly asked: string[];
  /** User and password that it was given. */
  readonly credentials: string[];
}

export interface TestSocksOptions {
  /** Ports of this machine by the hosts that lead there. */
  readonly hosts: Readonly<Record<string, number>>;
  /** `USER:PASSWORD` without which it serves nobody. */
  readonly credentials?: string;
  /** Says this about everything that it is asked for. */
  readonly reply?: number;
  /** Answers all with these bytes. */
  readonly babble?: string;
  /** Bytes after its last reply, in the server's name. */
  readonly more?: string;
  /** One byte at a time. */
  readonly drips?: boolean;
}

/** A proxy that ends with the test. */
export async function testSocks(options: TestSocksOptions): Promise<TestSocks> {
  const asked: string[] = [];
  const credentials: string[] = [];
  const sockets = new Set<Socket>();
  const serve = async (socket: Socket) => {
    const read = reader(socket);
    const write = async (bytes: number[]) => {
      if (options.drips !== true) return void socket.write(Buffer.from(bytes));
      for (const byte of bytes) {
        socket.write(Buffer.from([byte]));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    if (options.babble !== undefined) return void socket.end(options.babble);
    const [, count] = await read(2);
    const methods = [...(await read(count!))];
    const wanted = options.credentials === undefined ? 0 : 2;
    if (!methods.includes(wanted)) return void socket.end(Buffer.from([5, 0xff]));
    await write([5, wanted]);
    if (wanted === 2) {
      const user = (await read((await read(2))[1]!)).toString();
      const password = (await read((await read(1))[0]!)).toString();
      credentials.push(`${user}:${password}`);
      const isRight = credentials.at(-1) === options.credentials;
      await write([1, isRight ? 0 : 1]);
      if (!isRight) return void socket.end();
    }
    const type = (await read(4))[3];
    const host =
      type === 3
        ? (await read((await read(1))[0]!)).toString()
        : type === 1
          ? [...(await read(4))].join(".")
          : (await read(16)).toString("hex").replace(/(....)(?!$)/g, "$1:");
    asked.push(`${type === 3 ? "name" : "address"} ${host}:${(await read(2)).readUInt16BE()}`);
    const port = options.hosts[host];
    const reply = options.reply ?? (port === undefined ? 4 : 0);
    await write([
      5,
      reply,
      0,
      3,
      4,
      0x68,
      0x65,
      0x72,
      0x65,
      0,
      1,
      ...Buffer.from(options.more ?? ""),
    ]);
    if (reply !== 0) return void socket.end();
    const onward = connect(port!, "127.0.0.1");
    sockets.add(onward);
    onward.on("error", () => socket.destroy());
    onward.pipe(socket).pipe(onward);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    serve(socket).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, asked, credentials };
}

/** Reads bytes by their number. */
function reader(socket: Socket): (bytes: number) => Promise<Buffer> {
  return async (bytes) => {
    if (bytes === 0) return Buffer.alloc(0);
    for (;;) {
      const chunk = socket.read(bytes) as Buffer | null;
      if (chunk !== null) return chunk;
      await new Promise((resolve, reject) => {
        socket.once("readable", resolve);
        socket.once("close", reject);
      });
    }
  };
}
