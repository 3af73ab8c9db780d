/** Why a TLS handshake failed, in words that lead to the remedy. */

export interface HandshakeFault {
  /** Label of the metric. */
  readonly reason: string;
  readonly hint: string;
}

/** Some TLS libraries hang up without an alert when they do not trust the server. */
const CUT: HandshakeFault = {
  reason: "cut",
  hint: "the client went away during the handshake; if it always does, give it the platform's ca.crt as its CA file",
};

export const NO_CERTIFICATE: HandshakeFault = {
  reason: "no-certificate",
  hint: "the client sent no certificate: give it its own certificate and private key",
};

/** Codes of OpenSSL, of Node, and of certificate verification (`authorizationError`). */
const FAULTS: Readonly<Record<string, HandshakeFault>> = {
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: NO_CERTIFICATE,
  ERR_SSL_WRONG_VERSION_NUMBER: {
    reason: "not-tls",
    hint: "the client does not speak TLS on this port: switch TLS on in the client",
  },
  ERR_SSL_HTTP_REQUEST: { reason: "not-tls", hint: "somebody sent plain HTTP to the MQTT port" },
  ERR_SSL_NO_APPLICATION_PROTOCOL: {
    reason: "alpn",
    hint: "the client's ALPN list has neither x-amzn-mqtt-ca nor mqtt: use one of them, or none",
  },
  ERR_SSL_UNSUPPORTED_PROTOCOL: {
    reason: "tls-version",
    hint: "the client's TLS is too old: it needs at least TLS 1.2",
  },
  ERR_SSL_NO_SHARED_CIPHER: { reason: "cipher", hint: "client and server have no cipher in common" },
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: {
    reason: "server-not-trusted",
    hint: "the client does not trust this server: give it the platform's ca.crt as its CA file",
  },
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: {
    reason: "server-not-trusted",
    hint: "the client refused the server's certificate: check its CA file and the host name that it connects to",
  },
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: {
    reason: "server-not-trusted",
    hint: "the client refused the server's certificate: check its CA file and the host name that it connects to",
  },
  ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR: {
    reason: "server-not-trusted",
    hint: "the client has a CA of the same name but with another key, perhaps of an earlier installation: give it the present ca.crt",
  },
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: {
    reason: "server-not-trusted",
    hint: "the client finds the server's certificate expired: compare the clocks of both machines",
  },
  ERR_TLS_HANDSHAKE_TIMEOUT: { reason: "timeout", hint: "the client did not finish the handshake in time" },
  ECONNRESET: CUT,
  EPIPE: CUT,
  CERT_HAS_EXPIRED: {
    reason: "certificate-expired",
    hint: "the client's certificate has expired: issue a new one, and compare the clocks of both machines",
  },
  INVALID_PURPOSE: {
    reason: "certificate-wrong-usage",
    hint: "the client's certificate is not for clients (a server's, say): issue one whose extended key usage has clientAuth",
  },
  DEPTH_ZERO_SELF_SIGNED_CERT: {
    reason: "certificate-self-signed",
    hint: "the client's certificate is signed by itself: register it without a CA, or give the device one of this platform's CA",
  },
  PATH_LENGTH_EXCEEDED: {
    reason: "certificate-chain",
    hint: "more CAs stand above the client's certificate than one of them allows (path length)",
  },
  INVALID_CA: {
    reason: "certificate-chain",
    hint: "a certificate in the client's chain is not a CA's",
  },
  CERT_SIGNATURE_FAILURE: {
    reason: "certificate-untrusted",
    hint: "the client's certificate names one of our CAs, and another key signed it: it is of a CA of the same name (an earlier installation?), damaged or forged",
  },
  CERT_CHAIN_TOO_LONG: {
    reason: "certificate-chain",
    hint: "the client's chain of certificates is too long: send the certificate and what stands below the registered CA",
  },
  ERR_SSL_EXCESSIVE_MESSAGE_SIZE: {
    reason: "certificate-chain",
    hint: "the client's chain of certificates is larger than 100 KB: send the certificate and what stands below the registered CA",
  },
  CERT_NOT_YET_VALID: {
    reason: "certificate-not-yet-valid",
    hint: "the client's certificate is not valid yet: compare the clocks of both machines",
  },
};

export const UNTRUSTED: HandshakeFault = {
  reason: "certificate-untrusted",
  hint: "the client's certificate was not issued by this platform's CA: register the device here",
};
const OTHER: HandshakeFault = { reason: "other", hint: "see the error" };

/** `verification`: OpenSSL's verdict on the client's certificate, where it came to one. */
export function handshakeFault(error: unknown, verification: unknown): HandshakeFault {
  if (typeof verification === "string") return FAULTS[verification] ?? UNTRUSTED;
  if (verification instanceof Error) return handshakeFault(error, codeOf(verification) ?? verification.message);
  return FAULTS[codeOf(error) ?? ""] ?? OTHER;
}

function codeOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}
