// Holds a lease in a process of its own: node lease-holder.mjs STORE IMAGE [OBJECT…]
// Says "leased" and holds it until standard input ends.
import { Store } from "../../dist/store/store.js";
import { takeLease } from "../../dist/store/leases.js";

const [directory, image, ...objects] = process.argv.slice(2);
const lease = takeLease(Store.open(directory), image, () => objects);
console.log(lease === undefined ? "none" : "leased");
process.stdin.on("end", () => lease?.release()).resume();
