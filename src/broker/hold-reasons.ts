/**
 * Why reading is paused: the disk is behind, too much is unacknowledged, the client does not take its output, `Pacing`, a
 * rate is exceeded, the connection's share of the turn is used, too many connect at once, the gatekeeper has not answered
 * yet, or more is to be retained than the state store has taken.
 */
export const HOLD_BIT = {
  journal: 1,
  acknowledgements: 2,
  output: 4,
  pace: 8,
  rate: 16,
  turn: 32,
  connect: 64,
  gatekeeper: 128,
  retained: 256,
} as const;

export type HoldReason = keyof typeof HOLD_BIT;
