// Fetches the points of the map, and asks the database for the rows similar to a chosen one.
"use strict";

(async () => {
  const { points, similar } = document.body.dataset;
  const answer = await fetch(points);
  const text = await answer.text();
  if (!answer.ok) {
    document.getElementById("keys").textContent = "The points cannot be read. Reload to try again.";
    return;
  }
  const data = readMapData(text);
  const places = new Map(data.keys.map((key, index) => [String(key), index]));
  const keyOf = (key) => (typeof key === "object" ? JSON.stringify(key) : String(key));
  new MapPage(document, data, {
    async similar(index) {
      const key = data.keys[index];
      const isObject = typeof key === "string" && key.startsWith("{");
      const asked = await fetch(
        `${similar}?key=${encodeURIComponent(isObject ? key : JSON.stringify(key))}`,
      );
      if (!asked.ok) return [];
      const keys = await asked.json();
      return keys.map((found) => places.get(keyOf(found))).filter((place) => place !== undefined);
    },
  });
})();
