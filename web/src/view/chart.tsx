import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

export interface Series {
  name: string;
  values: (number | null)[];
  /** A custom property of the theme, as --series-1. */
  colour: string;
}

const HEIGHT = 190; // px

/** A colour of the theme as rgb(…): a canvas does not know light-dark() and custom properties. */
function themeColour(host: HTMLElement, property: string): string {
  host.style.color = `var(${property})`;
  return getComputedStyle(host).color;
}

function clock(time: number): string {
  return new Date(time * 1000).toLocaleTimeString("en-GB");
}

function options(host: HTMLElement, series: Series[], format: (value: number) => string): uPlot.Options {
  const axis = {
    stroke: themeColour(host, "--text-muted"),
    grid: { stroke: themeColour(host, "--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: host.clientWidth,
    height: HEIGHT,
    legend: { show: false }, // ours tells the names beside the heading
    cursor: { y: false },
    scales: { y: { range: (_plot, _low, high) => [0, Math.max(high * 1.1, 1e-6)] } },
    axes: [
      { ...axis, space: 90, size: 30, values: (_plot, marks) => marks.map(clock) },
      { ...axis, size: 64, values: (_plot, marks) => marks.map(format) },
    ],
    series: [
      {},
      ...series.map(({ name, colour }) => {
        const stroke = themeColour(host, colour);
        const fill = stroke.replace(/^rgb\((.*)\)$/, "rgba($1, 0.1)");
        return { label: name, stroke, fill, width: 2, points: { show: false }, spanGaps: true };
      }),
    ],
  };
}

/** Lines over time. The last values are in its label, for those who do not see the drawing. */
export function Chart(props: {
  title: string;
  times: number[];
  series: Series[];
  format: (value: number) => string;
  /** Changes with the colours. */
  look: string;
}) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = [props.times, ...props.series.map(({ values }) => values)] as uPlot.AlignedData;

  useEffect(() => {
    const made = new uPlot(options(host.current!, props.series, props.format), data, host.current!);
    plot.current = made;
    const resized = new ResizeObserver(([entry]) => {
      made.setSize({ width: Math.floor(entry!.contentRect.width), height: HEIGHT });
    });
    resized.observe(host.current!);
    return () => {
      resized.disconnect();
      made.destroy();
    };
  }, [props.look]);
  useEffect(() => plot.current?.setData(data), [props.times.length, props.times.at(-1)]);

  const last = props.series.map(({ name, values }) => {
    const value = values.at(-1);
    return value === null || value === undefined ? name : `${name}: ${props.format(value)}`;
  });
  return (
    <section class="chart">
      <h2>{props.title}</h2>
      <ul class="chart-legend">
        {props.series.map(({ name, colour }) => (
          <li key={name}>
            <i class={`swatch ${colour.slice(2)}`} />
            {name}
          </li>
        ))}
      </ul>
      <div ref={host} class="chart-canvas" role="img" aria-label={`${props.title}. ${last.join(", ")}`} />
    </section>
  );
}
