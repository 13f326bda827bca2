import { render } from "preact";
import "katex/dist/katex.min.css";
import "uplot/dist/uPlot.min.css";
import "./style/theme.css";
import "./style/layout.css";
import "./style/message.css";
import "./style/inspect.css";
import "./style/dashboard.css";
import { App } from "./view/app";

render(<App />, document.getElementById("app")!);
