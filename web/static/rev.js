// What every page runs once it is drawn. Pages work without it: it adds tooltips, copying and what is new.
import { watchDemo } from "./demo.js";
import { explainCharts } from "./charts.js";
import { offerJump } from "./jump.js";
import { offerCopies } from "./copying.js";
import { followLive } from "./live.js";
import { refreshParts } from "./refreshing.js";

explainCharts(document);
offerCopies(document);
offerJump(document);
refreshParts(document);
followLive(document);
watchDemo(document);
