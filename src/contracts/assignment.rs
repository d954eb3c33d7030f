//! The one-to-one assignment of least cost (Jonker and Volgenant's shortest augmenting paths)

/// Assigns rows to columns so that the sum of costs is least. `costs` has `rows * columns` entries, row by row; a pair
/// that costs 0 or more is left alone. Runs in O(rows² · columns) where rows are the shorter side.
pub(super) fn assign(costs: &[f32], rows: usize, columns: usize) -> Vec<Option<usize>> {
    if rows == 0 || columns == 0 || costs.len() != rows * columns {
        return vec![None; rows];
    }
    let cost = |row: usize, column: usize| f64::from(costs[row * columns + column].min(0.0));
    if rows <= columns {
        let owners = solve(rows, columns, &cost);
        return invert(&owners, rows, &|row, column| costs[row * columns + column]);
    }
    let owners = solve(columns, rows, &|column, row| cost(row, column));
    let mut assigned = vec![None; rows];
    for (row, column) in owners.into_iter().enumerate() {
        assigned[row] = column.filter(|column| costs[row * columns + column] < 0.0);
    }
    assigned
}

fn invert(owners: &[Option<usize>], rows: usize, cost: &dyn Fn(usize, usize) -> f32) -> Vec<Option<usize>> {
    let mut assigned = vec![None; rows];
    for (column, row) in owners.iter().enumerate() {
        if let Some(row) = row.filter(|row| cost(*row, column) < 0.0) {
            assigned[row] = Some(column);
        }
    }
    assigned
}

/// The row of each column. There are at least as many columns as rows.
fn solve(rows: usize, columns: usize, cost: &dyn Fn(usize, usize) -> f64) -> Vec<Option<usize>> {
    // Potentials keep the reduced costs at 0 or above, so that Dijkstra's rule finds the cheapest path.
    let mut row_price = vec![0.0; rows];
    let mut column_price = vec![0.0; columns];
    let mut owner: Vec<Option<usize>> = vec![None; columns];
    for start in 0..rows {
        let mut distance = vec![f64::INFINITY; columns];
        let mut previous: Vec<Option<usize>> = vec![None; columns];
        let mut done = vec![false; columns];
        let (mut row, mut column): (usize, Option<usize>) = (start, None);
        let mut reached = 0.0;
        let mut scanned = vec![(start, 0.0)];
        let end = loop {
            let (mut next, mut least) = (None, f64::INFINITY);
            for other in (0..columns).filter(|other| !done[*other]) {
                let through = reached + cost(row, other) - row_price[row] - column_price[other];
                if through < distance[other] {
                    distance[other] = through;
                    previous[other] = column;
                }
                if distance[other] < least {
                    (next, least) = (Some(other), distance[other]);
                }
            }
            let Some(found) = next else { break None };
            done[found] = true;
            reached = least;
            match owner[found] {
                Some(holder) => {
                    (row, column) = (holder, Some(found));
                    scanned.push((holder, least));
                }
                None => break Some(found),
            }
        };
        let Some(end) = end else { continue };
        for (row, at) in scanned {
            row_price[row] += reached - at;
        }
        for other in (0..columns).filter(|other| done[*other]) {
            column_price[other] -= reached - distance[other];
        }
        augment(&mut owner, &previous, end, start);
    }
    owner
}

/// Hands each column of a path to the row before it.
fn augment(owner: &mut [Option<usize>], previous: &[Option<usize>], end: usize, start: usize) {
    let mut column = end;
    while let Some(before) = previous[column] {
        owner[column] = owner[before];
        column = before;
    }
    owner[column] = Some(start);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(costs: &[f32], rows: usize, columns: usize, expected: &[Option<usize>]) {
        assert_eq!(assign(costs, rows, columns), expected);
    }

    #[test]
    fn least_cost() {
        // The greedy choice of the first row would cost the second one its only partner.
        check(&[-0.9, -0.8, -0.85, 0.0], 2, 2, &[Some(1), Some(0)]);
        check(&[-0.1, 0.0, 0.0, 0.0], 2, 2, &[Some(0), None]);
        check(&[-1.0, -2.0, -3.0], 1, 3, &[Some(2)]);
        check(&[-1.0, -2.0, -3.0], 3, 1, &[None, None, Some(0)]);
        check(&[], 0, 0, &[]);
    }

    #[test]
    fn as_good_as_trying_all() {
        let mut seed = 7_u32;
        for _ in 0..50 {
            let costs: Vec<f32> = (0..25)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    -(((seed >> 16) % 100) as f32)
                })
                .collect();
            let found: f32 =
                assign(&costs, 5, 5).iter().enumerate().filter_map(|(i, j)| j.map(|j| costs[i * 5 + j])).sum();
            assert!((found - best(&costs, 0, &mut [false; 5])).abs() < 1e-3);
        }
    }

    fn best(costs: &[f32], row: usize, used: &mut [bool; 5]) -> f32 {
        if row == 5 {
            return 0.0;
        }
        let mut least = f32::INFINITY;
        for column in 0..5 {
            if !used[column] {
                used[column] = true;
                least = least.min(costs[row * 5 + column] + best(costs, row + 1, used));
                used[column] = false;
            }
        }
        least
    }
}
