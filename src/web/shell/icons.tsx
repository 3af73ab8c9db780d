/** Icons, drawn on a grid of 16. They carry no meaning alone: text or a label stands beside each. */
import type { ComponentChildren } from "preact";

function Icon({ children }: { readonly children: ComponentChildren }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 16 16"
      width="16"
      height="16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      {children}
    </svg>
  );
}

export const IconSearch = () => (
  <Icon>
    <circle cx="7" cy="7" r="4.5" />
    <path d="m10.5 10.5 3 3" />
  </Icon>
);
export const IconCheck = () => (
  <Icon>
    <path d="m3 8.5 3.5 3.5L13 4.5" />
  </Icon>
);
export const IconCheckCircle = () => (
  <Icon>
    <circle cx="8" cy="8" r="6.25" />
    <path d="m5.3 8.2 1.9 1.9 3.5-3.9" />
  </Icon>
);
export const IconCopy = () => (
  <Icon>
    <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
    <path d="M10.5 5.5V4A1.5 1.5 0 0 0 9 2.5H4A1.5 1.5 0 0 0 2.5 4v5A1.5 1.5 0 0 0 4 10.5h1.5" />
  </Icon>
);
export const IconTable = () => (
  <Icon>
    <rect x="2" y="3" width="12" height="10" rx="1.5" />
    <path d="M2 6.5h12M6.5 6.5V13" />
  </Icon>
);
export const IconChart = () => (
  <Icon>
    <path d="M2 2.5v11h12" />
    <path d="m4.5 9.5 3-3.5 2.5 2 3.5-4.5" />
  </Icon>
);
export const IconCritical = () => (
  <Icon>
    <path d="M5.4 1.75h5.2l3.65 3.65v5.2l-3.65 3.65H5.4L1.75 10.6V5.4z" />
    <path d="M8 4.8v3.7M8 11v.1" />
  </Icon>
);
export const IconWarning = () => (
  <Icon>
    <path d="M8 2.2 14.4 13.3H1.6z" />
    <path d="M8 6.4v3.2M8 11.5v.1" />
  </Icon>
);
export const IconInfo = () => (
  <Icon>
    <circle cx="8" cy="8" r="6.25" />
    <path d="M8 7.4v3.4M8 5v.1" />
  </Icon>
);
export const IconPlay = () => (
  <Icon>
    <path d="M5 3.2v9.6L12.6 8z" fill="currentColor" />
  </Icon>
);
export const IconPause = () => (
  <Icon>
    <path d="M5.5 3.5v9M10.5 3.5v9" stroke-width="2" />
  </Icon>
);
export const IconPlus = () => (
  <Icon>
    <path d="M8 3.5v9M3.5 8h9" />
  </Icon>
);
export const IconMinus = () => (
  <Icon>
    <path d="M3.5 8h9" />
  </Icon>
);
export const IconLeft = () => (
  <Icon>
    <path d="M10 3.5 5.5 8l4.5 4.5" />
  </Icon>
);
export const IconRight = () => (
  <Icon>
    <path d="M6 3.5 10.5 8 6 12.5" />
  </Icon>
);
export const IconMenu = () => (
  <Icon>
    <path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11" />
  </Icon>
);
export const IconClose = () => (
  <Icon>
    <path d="m4 4 8 8M12 4l-8 8" />
  </Icon>
);
export const IconSun = () => (
  <Icon>
    <circle cx="8" cy="8" r="2.75" />
    <path d="M8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9" />
  </Icon>
);
export const IconMoon = () => (
  <Icon>
    <path d="M13.3 9.6A5.6 5.6 0 0 1 6.4 2.7a5.6 5.6 0 1 0 6.9 6.9z" />
  </Icon>
);
export const IconScreen = () => (
  <Icon>
    <rect x="1.75" y="2.5" width="12.5" height="8.5" rx="1.5" />
    <path d="M5.5 13.8h5M8 11v2.8" />
  </Icon>
);
export const IconKeyboard = () => (
  <Icon>
    <rect x="1.5" y="4" width="13" height="8" rx="1.5" />
    <path d="M4 6.6h.1M6.7 6.6h.1M9.3 6.6h.1M12 6.6h.1M5 9.4h6" />
  </Icon>
);
export const IconLogOut = () => (
  <Icon>
    <path d="M6.5 13.5H4A1.5 1.5 0 0 1 2.5 12V4A1.5 1.5 0 0 1 4 2.5h2.5M10.5 11l3-3-3-3M13.5 8h-7" />
  </Icon>
);
export const IconOffline = () => (
  <Icon>
    <path d="M2 2l12 12M5 8.6a4.6 4.6 0 0 1 2-1.1M9.9 8a4.5 4.5 0 0 1 1.3.8M2.6 6.2a8 8 0 0 1 2-1.4M7.2 4a8 8 0 0 1 6.2 2.2M8 11.8v.1" />
  </Icon>
);
export const IconBell = () => (
  <Icon>
    <path d="M4 7a4 4 0 0 1 8 0c0 3.5 1.3 4.3 1.3 4.3H2.7S4 10.5 4 7zM6.8 13.6a1.4 1.4 0 0 0 2.4 0" />
  </Icon>
);
export const IconEye = () => (
  <Icon>
    <path d="M1.5 8S3.8 3.8 8 3.8 14.5 8 14.5 8 12.2 12.2 8 12.2 1.5 8 1.5 8z" />
    <circle cx="8" cy="8" r="1.9" />
  </Icon>
);

/** The mark: two waves that meet in one wire. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 24 24" width="24" height="24" fill="none" aria-hidden="true" focusable="false">
      <rect class="mark-ground" x="0.5" y="0.5" width="23" height="23" rx="6.5" />
      <path class="mark-tide" d="M3.5 14.500c2.8 0 2.8-5 5.7-5s2.8 5 5.6 5c2.9 0 2.9-5 5.7-5" />
      <circle class="mark-node" cx="20.3" cy="9.5" r="1.7" />
    </svg>
  );
}

export function Wordmark() {
  return (
    <span class="wordmark">
      <Mark />
      <span class="wordmark-name">Tidewire</span>
    </span>
  );
}
