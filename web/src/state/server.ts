import { ApiError } from "../api/api_error";
import { listModels } from "../api/client";
import { changeSettings, settings } from "./settings";
import { createStore } from "./store";

export interface ServerState {
  models: string[];
  /** Why the models could not be listed. */
  problem: ApiError | null;
}

export const server = createStore<ServerState>({ models: [], problem: null });

const RETRY = 5000; // ms, while the server cannot be reached

let retry = 0;

/** Asks the server which models it has; goes on asking while it cannot be reached. */
export async function connect(): Promise<void> {
  clearTimeout(retry);
  try {
    const models = await listModels();
    server.set({ models, problem: null });
    if (!models.includes(settings.get().model)) changeSettings({ model: models[0] ?? "" });
  } catch (error) {
    const problem = error instanceof ApiError ? error : new ApiError("refused", String(error));
    server.set({ ...server.get(), problem });
    if (problem.kind === "unreachable" || problem.kind === "busy") {
      retry = window.setTimeout(() => void connect(), RETRY);
    }
  }
}
