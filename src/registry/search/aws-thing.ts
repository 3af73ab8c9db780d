/** A thing as AWS IoT's SearchIndex answers it. */
import type { FleetDocument, ShadowPart } from "./document.ts";

export interface AwsThing {
  readonly thingName: string;
  readonly thingId: string;
  readonly thingTypeName?: string;
  readonly thingGroupNames?: readonly string[];
  readonly attributes?: Readonly<Record<string, string>>;
  /** JSON as a text. */
  readonly shadow?: string;
  readonly connectivity?: {
    readonly connected: boolean;
    readonly timestamp?: number;
    readonly disconnectReason?: string;
  };
}

export function awsThing({ thingName, registry, connectivity, shadows }: FleetDocument): AwsThing {
  const { thingId, thingTypeName, thingGroupNames, attributes } = registry;
  const { connected = false, timestamp, disconnectReason } = connectivity ?? {};
  return {
    thingName,
    thingId,
    ...(thingTypeName === null ? {} : { thingTypeName }),
    ...(thingGroupNames.length === 0 ? {} : { thingGroupNames }),
    ...(Object.keys(attributes).length === 0 ? {} : { attributes }),
    ...(shadows.size === 0 ? {} : { shadow: shadowText(shadows) }),
    connectivity: {
      connected,
      ...(timestamp === undefined ? {} : { timestamp }),
      ...(disconnectReason === undefined || disconnectReason === null ? {} : { disconnectReason }),
    },
  };
}

function shadowText(shadows: ReadonlyMap<string, ShadowPart>): string {
  const named = [...shadows].filter(([name]) => name !== "");
  return JSON.stringify({
    ...shadows.get(""),
    ...(named.length === 0 ? {} : { name: Object.fromEntries(named) }),
  });
}
