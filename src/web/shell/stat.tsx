/** A number with its name, in a list of them (`dl.stats`). */
export function Stat({ label, value }: { readonly label: string; readonly value: number }) {
  return (
    <div class="stat" data-stat={label}>
      <dt>{label}</dt>
      <dd>{value.toLocaleString("en")}</dd>
    </div>
  );
}
