// What every page runs. Pages work without it: it adds local times, tooltips, copying and sliders.
import { showLocalTimes } from "./times.js";
import { watchDemo } from "./demo.js";
import { explainCharts } from "./charts.js";
import { offerJump } from "./jump.js";
import { offerCopies } from "./copying.js";
import { followLive } from "./live.js";
import { refreshParts } from "./refreshing.js";
import { runSimulators } from "./simulator.js";

showLocalTimes(document);
explainCharts(document);
offerCopies(document);
offerJump(document);
runSimulators(document);
refreshParts(document);
followLive(document);
watchDemo(document);
