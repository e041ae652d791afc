"use strict";
// Videos of one clip play together, and only while they are in sight.
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const sight = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    for (const video of entry.target.querySelectorAll("video")) {
      if (entry.isIntersecting && !still) {
        video.currentTime = 0;
        video.play().catch(() => { video.controls = true; });
      } else {
        video.pause();
      }
    }
    entry.target.inSight = entry.isIntersecting;
  }
});
for (const tiles of document.querySelectorAll(".tiles")) sight.observe(tiles);
for (const video of document.querySelectorAll("video")) {
  video.addEventListener("click", () => (video.paused ? video.play() : video.pause()));
}

// Point clouds: both of a clip turn by the same angle; dragging turns them too.
const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
const SIDE = 300;
for (const row of document.querySelectorAll(".tiles.clouds")) {
  const view = { yaw: 0, pitch: 0.12, held: false, time: 0 };
  const clouds = [...row.querySelectorAll("canvas")].map((canvas) => {
    canvas.width = canvas.height = SIDE;
    canvas.addEventListener("pointerdown", () => { view.held = true; });
    canvas.addEventListener("pointermove", (event) => {
      if (!view.held) return;
      view.yaw += event.movementX * 0.01;
      view.pitch = Math.max(-1.2, Math.min(1.2, view.pitch + event.movementY * 0.01));
      draw();
    });
    const context = canvas.getContext("2d");
    return {
      context, image: context.createImageData(SIDE, SIDE), depth: new Float32Array(SIDE * SIDE),
      places: new Int16Array(bytes(canvas.dataset.places).buffer), colours: bytes(canvas.dataset.colours),
    };
  });
  addEventListener("pointerup", () => { view.held = false; });

  function draw() {
    const [cy, sy, cp, sp] = [Math.cos(view.yaw), Math.sin(view.yaw), Math.cos(view.pitch), Math.sin(view.pitch)];
    for (const { context, image, depth, places, colours } of clouds) {
      image.data.fill(0);
      depth.fill(Infinity);
      for (let i = 0; i < places.length; i += 3) {
        const x = places[i] / 32767, y = places[i + 1] / 32767, z = places[i + 2] / 32767;
        const across = cy * x + sy * z, along = cy * z - sy * x;
        const up = cp * y - sp * along, away = 2.4 - (cp * along + sp * y);
        const left = Math.round(SIDE * (0.5 + 0.95 * across / away)), top = Math.round(SIDE * (0.5 - 0.95 * up / away));
        for (let v = top; v < top + 3; v++) {
          for (let u = left; u < left + 3; u++) {
            if (u < 0 || v < 0 || u >= SIDE || v >= SIDE || depth[v * SIDE + u] <= away) continue;
            depth[v * SIDE + u] = away;
            image.data.set([colours[i], colours[i + 1], colours[i + 2], 255], 4 * (v * SIDE + u));
          }
        }
      }
      context.putImageData(image, 0, 0);
    }
  }

  function turn(now) {
    if (row.inSight && !view.held) {
      view.time += Math.min(50, now - (view.last ?? now)) / 1000;
      view.yaw = 0.6 * Math.sin(view.time * 0.7);
      draw();
    }
    view.last = now;
    requestAnimationFrame(turn);
  }
  draw();
  if (!still) requestAnimationFrame(turn);
}
