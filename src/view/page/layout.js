// The positions of servers on the map. They are deterministic: a herd always looks the same.

/**
 * Positions in a unit square by stress majorisation: distances on the map are proportional to those
 * in links. A herd that is nearly a full mesh is arranged as a ring.
 */
function layOut(count, links) {
  const ring = ringOrder(count, links).map((_, at, order) => order.indexOf(at));
  const points = ring.map((at) => {
    const angle = (2 * Math.PI * at) / count - Math.PI / 2;
    return [Math.cos(angle), Math.sin(angle)];
  });
  const isDense = links.length > count * 2.5 && links.length > (count * (count - 1)) / 4;
  if (count > 2 && !isDense) relax(points, distances(count, links));
  return square(points);
}

/** Moves points apart that are nearer to each other than `least`, within a box. */
function spreadApart(points, least, [width, height]) {
  for (let round = 0; round < 80; round++) {
    for (let a = 0; a < points.length; a++) {
      for (let b = a + 1; b < points.length; b++) {
        const [dx, dy] = [points[b][0] - points[a][0], points[b][1] - points[a][1]];
        const far = Math.hypot(dx, dy) || 1e-6;
        if (far >= least) continue;
        const by = (least - far) / 2 / far;
        points[a] = [clamp(points[a][0] - dx * by, 0, width), clamp(points[a][1] - dy * by, 0, height)];
        points[b] = [clamp(points[b][0] + dx * by, 0, width), clamp(points[b][1] + dy * by, 0, height)];
      }
    }
  }
  return points;
}

/** The order of servers around a ring: each is followed by a neighbour if one is left. */
function ringOrder(count, links) {
  const neighbours = Array.from({ length: count }, () => []);
  for (const [a, b] of links) {
    neighbours[a].push(b);
    neighbours[b].push(a);
  }
  const order = [];
  const placed = new Array(count).fill(false);
  let at = 0;
  while (order.length < count) {
    order.push(at);
    placed[at] = true;
    const free = neighbours[at].filter((next) => !placed[next]);
    free.sort((a, b) => neighbours[a].length - neighbours[b].length || a - b);
    at = free.length > 0 ? free[0] : placed.indexOf(false);
  }
  return order;
}

/**
 * The distance of any two servers in links. Unconnected pairs count as one link more than the
 * greatest distance.
 */
function distances(count, links) {
  const neighbours = Array.from({ length: count }, () => []);
  for (const [a, b] of links) {
    neighbours[a].push(b);
    neighbours[b].push(a);
  }
  const rows = [];
  let most = 1;
  for (let from = 0; from < count; from++) {
    const row = new Array(count).fill(Infinity);
    row[from] = 0;
    const queue = [from];
    for (let at = 0; at < queue.length; at++) {
      for (const next of neighbours[queue[at]]) {
        if (row[next] < Infinity) continue;
        row[next] = row[queue[at]] + 1;
        most = Math.max(most, row[next]);
        queue.push(next);
      }
    }
    rows.push(row);
  }
  return rows.map((row) => row.map((far) => Math.min(far, most + 1)));
}

/**
 * Moves each point repeatedly to the mean of the positions that the others want for it, weighted by
 * the inverse square of their distance in links.
 */
function relax(points, wanted) {
  for (let round = 0; round < 150; round++) {
    for (let a = 0; a < points.length; a++) {
      let [x, y, weights] = [0, 0, 0];
      for (let b = 0; b < points.length; b++) {
        if (a === b) continue;
        const [dx, dy] = [points[a][0] - points[b][0], points[a][1] - points[b][1]];
        const far = Math.hypot(dx, dy) || 1e-6;
        const weight = 1 / wanted[a][b] ** 2;
        x += weight * (points[b][0] + (dx / far) * wanted[a][b]);
        y += weight * (points[b][1] + (dy / far) * wanted[a][b]);
        weights += weight;
      }
      points[a] = [x / weights, y / weights];
    }
  }
}

/**
 * Rotates the points so that the longest extent is horizontal and the first point is on the left,
 * then stretches them to the unit square.
 */
function square(points) {
  const middle = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
  let [xx, yy, xy] = [0, 0, 0];
  for (const [x, y] of points) {
    xx += (x - middle[0]) ** 2;
    yy += (y - middle[1]) ** 2;
    xy += (x - middle[0]) * (y - middle[1]);
  }
  const turn = Math.abs(xx - yy) + Math.abs(xy) < 1e-6 * (xx + yy) ? 0 : Math.atan2(2 * xy, xx - yy) / 2;
  const turned = points.map(([x, y]) => [
    (x - middle[0]) * Math.cos(turn) + (y - middle[1]) * Math.sin(turn),
    (y - middle[1]) * Math.cos(turn) - (x - middle[0]) * Math.sin(turn),
  ]);
  const flip = turned.length > 0 && turned[0][0] > 0 ? -1 : 1;
  const extent = [0, 1].map((axis) => {
    const values = turned.map((point) => point[axis] * (axis === 0 ? flip : 1));
    return [Math.min(...values), Math.max(...values)];
  });
  return turned.map(([x, y]) => [share(x * flip, extent[0]), share(y, extent[1])]);
}

function share(value, [low, high]) {
  return high - low < 1e-6 ? 0.5 : (value - low) / (high - low);
}
