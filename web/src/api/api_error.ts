export type ApiErrorKind = "unreachable" | "unauthorized" | "busy" | "refused" | "cut";

/** What went wrong between page and server, in terms that the page can act on. */
export class ApiError extends Error {
  constructor(
    readonly kind: ApiErrorKind,
    message: string,
    /** Seconds until another try makes sense; only with "busy". */
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
}

/** The text in an error object of OpenAI's shape ({error: {message}}) or of Ollama's ({error}). */
export function errorText(body: unknown): string | null {
  if (typeof body !== "object" || body === null || !("error" in body)) return null;
  const { error } = body;
  if (typeof error === "string") return error;
  if (typeof error === "object" && error !== null && "message" in error) return String(error.message);
  return null;
}

/** Seconds from a Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3). */
export function retryAfterSeconds(header: string | null, now: number): number | null {
  if (!header) return null;
  if (/^\d+$/.test(header.trim())) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, Math.ceil((date - now) / 1000));
}

/** Reads an unsuccessful response into the error it stands for. */
export async function errorOfResponse(response: Response): Promise<ApiError> {
  const raw = await response.text().catch(() => "");
  let text: string | null = null;
  try {
    text = errorText(JSON.parse(raw));
  } catch {
    // Proxies answer with pages of their own; the status says enough.
  }
  const message = text ?? `${response.status} ${response.statusText}`.trim();
  if (response.status === 401 || response.status === 403) return new ApiError("unauthorized", message);
  if (response.status === 429 || response.status === 503) {
    return new ApiError("busy", message, retryAfterSeconds(response.headers.get("retry-after"), Date.now()));
  }
  return new ApiError("refused", message);
}
