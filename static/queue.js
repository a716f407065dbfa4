// Where the open ticket stands in the list that one comes from, and the ways to its neighbours; app.js has kept the list.
(() => {
  "use strict";
  const place = document.getElementById("place");
  const list = (sessionStorage.rows || "").split(",");
  const here = list.indexOf(location.pathname);
  if (here < 0 || list.length < 2) return;
  place.querySelector("b").textContent = `${here + 1} of ${list.length}`;
  for (const [way, at] of [["prev", here - 1], ["next", here + 1]]) {
    const link = place.querySelector(`[rel=${way}]`);
    if (list[at]) link.href = list[at];
    else link.remove();
  }
  place.hidden = false;
})();
