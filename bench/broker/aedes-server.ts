/** Aedes with its defaults, in memory, on a port: `node bench/broker/aedes-server.ts PORT`. */
import { createServer } from "node:net";
import { Aedes } from "aedes";

const broker = await Aedes.createBroker();
const server = createServer({ noDelay: true }, (socket) => void broker.handle(socket));
server.listen(Number(process.argv[2]), "127.0.0.1", () => process.stdout.write("ready\n"));
