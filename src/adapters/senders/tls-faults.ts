/**
 * What is wrong where TLS fails, and what to do. Node and OpenSSL tell it by a code and a text; clients wrap the error, and
 * nodemailer puts a code of its own in the place of theirs, so the text has to do there.
 */

interface TlsFault {
  readonly code: RegExp;
  /** What is shown of it says more than the code. */
  readonly text: RegExp;
  readonly sentence: string;
}

const FAULTS: readonly TlsFault[] = [
  {
    code: /^(?:DEPTH_ZERO_)?SELF_SIGNED_CERT|^UNABLE_TO_(?:GET_ISSUER_CERT|VERIFY_LEAF)|^CERT_SIGNATURE_FAILURE$/,
    text: /self-signed certificate.*|unable to (?:get (?:local )?issuer certificate|verify the first certificate)/,
    sentence: "the server's certificate is not of a CA that is trusted: give that CA as `ca`",
  },
  {
    code: /^CERT_HAS_EXPIRED$/,
    text: /certificate has expired/,
    sentence: "the server's certificate, or its CA's, has expired: it needs a new one",
  },
  {
    code: /^CERT_NOT_YET_VALID$/,
    text: /certificate is not yet valid/,
    sentence: "the server's certificate is not valid yet: look at both clocks",
  },
  {
    code: /^ERR_TLS_CERT_ALTNAME/,
    text: /(?:Host|IP): .* the cert's .*|Cert does not contain a DNS name/,
    sentence: "the server's certificate is for another name: write one that it has in `url`, or say it as `serverName`",
  },
  {
    // OpenSSL's names of alerts have changed with its versions.
    code: /_ALERT_(?:BAD_CERTIFICATE|CERTIFICATE_REQUIRED|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED|UNKNOWN_CA)$/,
    text: /alert (?:bad certificate|certificate (?:required|unknown|expired)|unknown ca)/,
    sentence:
      "the server wants a client certificate that is valid and of a CA that it knows: give `certificate` and `privateKey`",
  },
  {
    code: /^ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/,
    text: /wrong version number|packet length too long/,
    sentence: "the server speaks no TLS on this port: take another port, or the scheme without TLS",
  },
  {
    code: /^ERR_OSSL_X509_KEY_VALUES_MISMATCH$/,
    text: /key values mismatch/,
    sentence: "`privateKey` is not the key of `certificate`",
  },
];
/** Errors wrap each other; no deeper. */
const DEPTH_MAX = 5;

/** Null where TLS is not what failed. */
export function tlsFault(error: unknown): string | null {
  for (let at = error, depth = 0; at instanceof Error && depth < DEPTH_MAX; at = at.cause, depth++) {
    const code = (at as NodeJS.ErrnoException).code ?? "";
    for (const fault of FAULTS) {
      const said = fault.text.exec(at.message)?.[0] ?? (fault.code.test(code) ? code : null);
      if (said !== null) return `${fault.sentence} (${said.slice(0, 160)})`;
    }
  }
  return null;
}
