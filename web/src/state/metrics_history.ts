import { parsePrometheus, quantileBetween, total, type Sample } from "../api/prometheus";

/** What the server did between two scrapes of /metrics. Null: it does not say, or nothing happened. */
export interface Moment {
  /** Seconds since the epoch. */
  time: number;
  running: number | null;
  waiting: number | null;
  promptRate: number | null; // tokens per second
  generationRate: number | null;
  cacheHitShare: number | null; // of prompt tokens, of all since the server started
  cacheUsage: number | null; // share of pages
  firstToken50: number | null; // seconds
  firstToken99: number | null;
  betweenTokens50: number | null;
}

/** Totals since the server started. */
export interface Totals {
  requests: number | null;
  generated: number | null;
  thinking: number | null;
  charged: { currency: string; amount: number }[];
}

const KEPT = 600; // moments

function share(part: number | null, whole: number | null): number | null {
  return part === null || whole === null || whole === 0 ? null : part / whole;
}

/** Turns scrapes into a series of moments. */
export class MetricsHistory {
  readonly moments: Moment[] = [];
  totals: Totals = { requests: null, generated: null, thinking: null, charged: [] };
  private last: { time: number; samples: Sample[] } | null = null;

  add(text: string, time: number): void {
    const samples = parsePrometheus(text);
    const before = this.last;
    this.last = { time, samples };
    const rate = (name: string) => {
      if (!before || time <= before.time) return null;
      const from = total(before.samples, name);
      const to = total(samples, name);
      // A counter that fell belongs to a server that was started anew.
      return from === null || to === null || to < from ? null : (to - from) / (time - before.time);
    };
    const quantile = (name: string, q: number) =>
      before ? quantileBetween(before.samples, samples, `vllm:${name}`, q) : null;
    const hits = total(samples, "vllm:prefix_cache_hits_total") ?? total(samples, "vllm:prefix_cache_hits");
    const queries = total(samples, "vllm:prefix_cache_queries_total") ?? total(samples, "vllm:prefix_cache_queries");
    this.moments.push({
      time,
      running: total(samples, "vllm:num_requests_running"),
      waiting: total(samples, "vllm:num_requests_waiting"),
      promptRate: rate("vllm:prompt_tokens_total"),
      generationRate: rate("vllm:generation_tokens_total"),
      cacheHitShare: share(hits, queries),
      cacheUsage: total(samples, "vllm:kv_cache_usage_perc"),
      firstToken50: quantile("time_to_first_token_seconds", 0.5),
      firstToken99: quantile("time_to_first_token_seconds", 0.99),
      betweenTokens50: quantile("inter_token_latency_seconds", 0.5),
    });
    if (this.moments.length > KEPT) this.moments.shift();
    this.totals = {
      requests: total(samples, "vllm:request_success_total"),
      generated: total(samples, "vllm:generation_tokens_total"),
      thinking: total(samples, "r1:thinking_tokens_total"),
      charged: samples
        .filter(({ name }) => name === "r1:charged_total")
        .map(({ labels, value }) => ({ currency: labels["currency"] ?? "", amount: value })),
    };
  }
}
