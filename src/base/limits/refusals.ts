/** Part of `limits.ts`: refusals that are kept for whoever looks for the device; about 1 KB each. */
export const REFUSAL_LIMITS = {
  /** Of certificates that are registered here; strangers cannot push them out. */
  registeredMax: 4_096,
  /** Different reasons and topics of one certificate; the one that was last met longest ago goes first. */
  perCertificateMax: 8,
  /** Of everybody else. */
  strangersMax: 1_024,
  /** From one address (IPv6: one /64): a flood of made-up ids takes this much, not the place of others. */
  perAddressMax: 32,
  /** Client ids, topics and subjects are cut to this. */
  textLengthMax: 512,
  pageSizeMax: 500,
} as const;
