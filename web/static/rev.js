// What every page runs. Pages work without it: it adds local times, tooltips and copying.
import { showLocalTimes } from "./times.js";
import { explainCharts } from "./charts.js";
import { offerCopies } from "./copying.js";

showLocalTimes(document);
explainCharts(document);
offerCopies(document);
