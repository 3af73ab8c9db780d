/** SMTP by nodemailer: one connection, one mail after the other. 4xx is tried again, 5xx is final (RFC 5321 section 4.2.1). */
import { createHash } from "node:crypto";
import type { Transporter } from "nodemailer";
import type SMTPTransport from "nodemailer/lib/smtp-transport/index.js";
import { DONE, dead, deliveryFails } from "../../rules/mod.ts";
import type { Parcel, Receiver, Sender, Verdict } from "../../rules/mod.ts";
import { Link } from "./link.ts";
import { guarded, settingsOf } from "./server-settings.ts";
import type { ServerPorts } from "./server-settings.ts";

interface MailSettings {
  readonly from: string;
  readonly to: readonly string[];
}

const CONNECT_TIMEOUT_MS = 10_000;

export function emailSender(receiver: Receiver, ports: ServerPorts): Sender {
  const settings = receiver.settings as unknown as MailSettings;
  const link = new Link<Transporter<SMTPTransport.SentMessageInfo>>({
    open: () => connect(receiver, ports),
    drop: (transport) => transport.close(),
  });
  return {
    send: (batch, timeout) =>
      link.carry(batch, timeout, async (transport) => {
        const verdicts: Verdict[] = [];
        for (const parcel of batch) verdicts.push(await mail(transport, settings, parcel));
        return verdicts;
      }),
    close: () => link.close(),
  };
}

async function mail(
  transport: Transporter<SMTPTransport.SentMessageInfo>,
  { from, to }: MailSettings,
  { id, body, fields, createdAt }: Parcel,
): Promise<Verdict> {
  const { subject = "", thread } = fields;
  const domain = /@([^\s@>]+)>?$/.exec(from)?.[1] ?? "tidewire";
  const root = thread === undefined ? undefined : `<${shortHash(`thread ${thread}`)}@${domain}>`;
  try {
    const { rejected } = await transport.sendMail({
      from,
      to: [...to],
      subject,
      text: Buffer.from(body).toString("utf8"),
      date: new Date(createdAt),
      messageId: `<${shortHash(id)}@${domain}>`,
      headers: { "Auto-Submitted": "auto-generated" }, // RFC 3834: no out-of-office answers
      ...(root === undefined ? {} : { inReplyTo: root, references: [root] }),
    });
    return rejected.length === 0
      ? DONE
      : dead(`the server takes no mail for ${rejected.length} of ${to.length} recipients`);
  } catch (error) {
    const { responseCode, response, code } = error as { responseCode?: number; response?: string; code?: string };
    // Logging in and TLS are the server's matter, not the mail's: somebody mends them.
    if (responseCode === undefined || (code !== "EENVELOPE" && code !== "EMESSAGE")) throw error;
    const reason = (response ?? `SMTP ${responseCode}`).slice(0, 200);
    // 421: the server closes the connection.
    if (responseCode === 421) throw new Error(reason, { cause: error });
    return responseCode >= 500 ? dead(reason) : deliveryFails(reason);
  }
}

/** An id may hold what no header takes. */
function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

async function connect(receiver: Receiver, ports: ServerPorts): Promise<Transporter<SMTPTransport.SentMessageInfo>> {
  const settings = settingsOf(receiver);
  const { tls, user, password, ca, certificate } = settings;
  const [{ createTransport }, { address, port, trust }] = await Promise.all([
    import("nodemailer"),
    guarded(ports, settings),
  ]);
  return createTransport({
    host: address,
    port,
    // Servers make who connects wait before they greet: one connection is kept for all mails.
    pool: true,
    maxConnections: 1,
    maxMessages: Infinity,
    maxRequeues: 1, // one that the server had closed meanwhile costs nothing
    secure: tls,
    // A password is never sent in the clear, and who names a CA wants TLS.
    requireTLS: !tls && (user !== undefined || ca !== undefined || certificate !== undefined),
    ...(user === undefined ? {} : { auth: { user, pass: password ?? "" } }),
    tls: trust,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}
