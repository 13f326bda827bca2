import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/api_error";
import { request } from "../api/client";
import { useLanguage } from "../language/language";
import { MetricsHistory, type Moment } from "../state/metrics_history";
import { settings } from "../state/settings";
import { useStore } from "../state/store";
import { formatNumber, formatShare } from "../text/format";
import { Chart } from "./chart";
import { askForKey } from "./key_dialog";

const INTERVAL = 2; // seconds

function useDark(): boolean {
  const { theme } = useStore(settings);
  const query = matchMedia("(prefers-color-scheme: dark)");
  const [system, setSystem] = useState(query.matches);
  useEffect(() => {
    const update = () => setSystem(query.matches);
    query.addEventListener("change", update);
    return () => query.removeEventListener("change", update);
  }, []);
  return theme === "system" ? system : theme === "dark";
}

/** Scrapes /metrics while the dashboard is on the page. */
function useMetrics() {
  const history = useRef(new MetricsHistory());
  const [problem, setProblem] = useState<ApiError | null>(null);
  const [, setScrapes] = useState(0);
  const scrape = async () => {
    try {
      const text = await (await request("metrics")).text();
      history.current.add(text, Date.now() / 1000);
      setProblem(null);
    } catch (error) {
      setProblem(error instanceof ApiError ? error : new ApiError("refused", String(error)));
    }
    setScrapes((count) => count + 1);
  };
  useEffect(() => {
    void scrape();
    const timer = setInterval(() => document.visibilityState === "visible" && void scrape(), INTERVAL * 1000);
    return () => clearInterval(timer);
  }, []);
  return { history: history.current, problem, scrape };
}

function Tile({ name, value }: { name: string; value: string | null }) {
  const { t } = useLanguage();
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd>{value ?? t.noData}</dd>
    </div>
  );
}

export function Dashboard() {
  const { t, language } = useLanguage();
  const { history, problem, scrape } = useMetrics();
  const { moments, totals } = history;
  const last = moments.at(-1);
  const look = `${useDark()} ${language}`;

  const count = (value: number | null | undefined, digits = 0) =>
    value === null || value === undefined ? null : formatNumber(value, language, digits);
  const part = (value: number | null | undefined) =>
    value === null || value === undefined ? null : formatShare(value, language);
  const thinkingShare =
    totals.thinking === null || !totals.generated ? null : formatShare(totals.thinking / totals.generated, language);

  const times = moments.map(({ time }) => time);
  const series = (names: [keyof Moment, string][]) =>
    names.map(([key, name], index) => ({
      name,
      values: moments.map((moment) => moment[key]),
      colour: `--series-${index + 1}`,
    }));
  const number = (value: number) => formatNumber(value, language, 1);
  const milliseconds = (value: number) => `${formatNumber(value * 1000, language, value < 0.01 ? 1 : 0)} ms`;
  const percent = (value: number) => formatShare(value, language);

  return (
    <div class="dashboard scroller" role="region" aria-label={t.dashboard} tabIndex={0}>
      <h1>{t.dashboard}</h1>
      <p class="hint">{t.dashboardText(INTERVAL)}</p>
      {problem && (
        <div class="failure" role="alert">
          <p>{t.errors[problem.kind]}</p>
          <p class="detail">{problem.message}</p>
          {problem.kind === "unauthorized" && (
            <button type="button" class="button primary" onClick={() => askForKey(() => void scrape())}>
              {t.enterKey}
            </button>
          )}
        </div>
      )}
      <dl class="tiles">
        <Tile name={t.running} value={count(last?.running)} />
        <Tile name={t.queued} value={count(last?.waiting)} />
        <Tile name={t.generationRate} value={count(last?.generationRate, 1)} />
        <Tile name={t.promptRate} value={count(last?.promptRate, 1)} />
        <Tile name={t.cacheHits} value={part(last?.cacheHitShare)} />
        <Tile name={t.cacheUsage} value={part(last?.cacheUsage)} />
        <Tile name={t.finishedRequests} value={count(totals.requests)} />
        <Tile name={t.thinkingShare} value={thinkingShare} />
        {totals.charged.map(({ currency, amount }) => (
          <Tile
            key={currency}
            name={`${t.charged} (${currency})`}
            value={formatNumber(amount, language, amount < 1 ? 6 : 2)}
          />
        ))}
      </dl>
      <div class="charts">
        <Chart
          title={t.throughput}
          times={times}
          look={look}
          format={number}
          series={series([
            ["generationRate", t.generated],
            ["promptRate", t.prompt],
          ])}
        />
        <Chart
          title={t.requests}
          times={times}
          look={look}
          format={number}
          series={series([
            ["running", t.running],
            ["waiting", t.queued],
          ])}
        />
        <Chart
          title={t.cache}
          times={times}
          look={look}
          format={percent}
          series={series([
            ["cacheHitShare", t.cacheHits],
            ["cacheUsage", t.cacheUsage],
          ])}
        />
        <Chart
          title={t.latency}
          times={times}
          look={look}
          format={milliseconds}
          series={series([
            ["firstToken50", t.firstToken50],
            ["firstToken99", t.firstToken99],
            ["betweenTokens50", t.betweenTokens50],
          ])}
        />
      </div>
    </div>
  );
}
