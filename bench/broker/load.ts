/** What a load generator is asked for, and what it answers. */

export interface Device {
  readonly thing: string;
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

export interface Address {
  readonly host: string;
  readonly port: number;
  /** Connections there are TLS, one device each. */
  readonly devices?: readonly Device[];
}

export interface LoadRequest {
  /** `fan-in`: all publishers to each subscriber. `fan-out`: the same, named for its numbers. `pairs`: one to one. */
  readonly topology: "fan-in" | "fan-out" | "pairs";
  readonly publishAt: Address;
  readonly subscribeAt: Address;
  /** At QoS 2 sessions are kept: that is where exactly once has to survive a crash, and costs most. */
  readonly qos: 0 | 1 | 2;
  readonly publishers: number;
  readonly subscribers: number;
  readonly seconds: number;
  /** Unacknowledged messages per publisher at QoS 1 and 2; messages per write at QoS 0. */
  readonly window: number;
  /** Bytes. */
  readonly payload: number;
}

export interface Load {
  /** Per second, after the warm-up: deliveries, publishes acknowledged, publishes sent. */
  readonly received: number;
  readonly acknowledged: number;
  readonly sent: number;
  /** Deliveries, the warm-up's included. */
  readonly receivedInAll: number;
  /** Percent of one core, and of the time that others had it. */
  readonly generatorCpu: number;
  readonly generatorWaited: number;
}
