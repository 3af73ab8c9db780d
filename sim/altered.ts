/** `port` with some of its members replaced; whatever else it has is its own. */
export function altered<T extends object>(port: T, changes: Partial<T>): T {
  return new Proxy(port, {
    get(target, key) {
      if (key in changes) return Reflect.get(changes, key) as unknown;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
