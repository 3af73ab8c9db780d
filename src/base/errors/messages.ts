/** Of `tidewire pub` and `sub`, and of whatever else speaks to a broker as a client: entries of the catalogue (`catalogue.ts`). */
export const MESSAGE_ERRORS = {
  BROKER_UNREACHABLE: {
    fault: "environment",
    message: "No MQTT broker can be spoken to at {url}: {reason}.",
    fix: "{fix}",
    exit: 5,
    retryable: true,
  },
  BROKER_LOGIN_REFUSED: {
    fault: "peer",
    message: "{url} does not let this client in: {reason}.",
    fix: "{fix}",
    exit: 4,
  },
  BROKER_ENDED: {
    fault: "peer",
    message: "{url} ended the connection: {reason}.",
    fix: "{fix}",
    exit: 5,
  },
  PUBLISH_NOT_ALLOWED: {
    fault: "peer",
    message: "The message to '{topic}' was refused: {reason}.",
    fix: "Publish to a topic that the client's policies allow; `tidewire refused` says which statement is missing.",
    exit: 4,
  },
  PUBLISH_INVALID: {
    fault: "misuse",
    message: "The message to '{topic}' cannot be taken: {reason}.",
    fix: "Correct the topic, the options or the payload: a topic has no + and #, and docs/reference/limits.md says how large what may be.",
    exit: 2,
  },
  PUBLISH_NO_ROOM: {
    fault: "peer",
    message: "The message to '{topic}' was refused: {reason}.",
    fix: "Try again later; where the platform's disk is full, its dashboard and `tidewire alerts` say so.",
    exit: 7,
    retryable: true,
  },
  PUBLISH_REFUSED: {
    fault: "peer",
    message: "The message to '{topic}' was refused: {reason}.",
    fix: "Look into the broker's log.",
  },
  SUBSCRIBE_NOT_ALLOWED: {
    fault: "peer",
    message: "The subscription to '{filter}' was refused: {reason}.",
    fix: "Subscribe to what the client's policies allow; `tidewire refused` says which statement is missing.",
    exit: 4,
  },
  SUBSCRIBE_REFUSED: {
    fault: "peer",
    message: "The subscription to '{filter}' was refused: {reason}.",
    fix: "Correct the filter: + is one whole level, # is the last one, $share/GROUP/FILTER shares it.",
    exit: 2,
  },
  MESSAGES_MISSING: {
    fault: "environment",
    message: "{count} of {wanted} messages came within {duration}.",
    fix: "Wait longer with --timeout, or look whether anything is published: `tidewire sub '#'`.",
    exit: 8,
  },
} as const;
