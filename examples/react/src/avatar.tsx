/** Initials, below the picture once that has loaded. The name stands beside it, so it is hidden from screen readers. */
export function Avatar({ name, url }: { name: string; url: string | null }) {
  const initials = name.split(/\s+/, 2).map((word) => word.charAt(0)).join("").toUpperCase();
  return (
    <span className="avatar" aria-hidden="true">
      {initials || "?"}
      {url && <img key={url} src={url} alt="" onError={(event) => event.currentTarget.remove()} />}
    </span>
  );
}
