import { ApiError, errorOfResponse } from "./api_error";

const KEY = "r1.api-key";

/** The API key lives as long as the tab: it is never written where other sessions could read it. */
export function apiKey(): string {
  return sessionStorage.getItem(KEY) ?? "";
}

export function setApiKey(key: string): void {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** Fetches from the server that sent the page. Throws ApiError for every unsuccessful answer. */
export async function request(path: string, options: RequestInit = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  if (apiKey()) headers.set("authorization", `Bearer ${apiKey()}`);
  let response: Response;
  try {
    response = await fetch(path, { ...options, headers, credentials: "omit", cache: "no-store" });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError("unreachable", String(error));
  }
  if (!response.ok) throw await errorOfResponse(response);
  return response;
}

/** The names that GET /v1/models lists. */
export async function listModels(): Promise<string[]> {
  const body: unknown = await (await request("v1/models")).json();
  const data = (body as { data?: unknown }).data;
  if (!Array.isArray(data)) throw new ApiError("refused", "GET /v1/models: no list of models");
  return data.map((model) => String(model?.id ?? "")).filter((id) => id !== "");
}
