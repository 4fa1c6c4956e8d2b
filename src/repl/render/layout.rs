//! Which columns does a table show, and how wide?

/// What a column would like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// The width at which nothing of it is cut.
    pub(super) natural: usize,
    /// The width below which it is of no use; at most `natural`.
    pub(super) least: usize,
}

/// One place in a table's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// A column, by its number, and its width.
    Column { at: usize, width: usize },
    /// Columns are left out here.
    Gap,
}

/// Lays columns out in `width` columns of a terminal, borders included.
///
/// Wide columns give way before narrow ones, down to their least. If that is not enough, columns are
/// left out from the middle. One column is always shown, cut to what there is.
pub(super) fn fit(wishes: &[Wish], width: Option<usize>) -> Vec<Slot> {
    let Some(width) = width else {
        return (0..wishes.len()).map(|at| Slot::Column { at, width: wishes[at].natural }).collect();
    };
    let all: Vec<usize> = (0..wishes.len()).collect();
    if let Some(slots) = share(wishes, &all, None, room(width, all.len())) {
        return slots;
    }
    for kept in (1..wishes.len()).rev() {
        let left = kept.div_ceil(2);
        let columns: Vec<usize> = (0..left).chain(wishes.len() - (kept - left)..wishes.len()).collect();
        let room = room(width, kept + 1).saturating_sub(1); // the gap is one wide
        if let Some(slots) = share(wishes, &columns, Some(left), room) {
            return slots;
        }
    }
    let gap = if wishes.len() > 1 { 1 } else { 0 };
    let width = room(width, 1 + gap).saturating_sub(gap).max(1);
    let only = Slot::Column { at: 0, width };
    if gap == 1 { vec![only, Slot::Gap] } else { vec![only] }
}

/// What is left for the cells beside the borders and the spaces: `│ a │ b │`.
fn room(width: usize, slots: usize) -> usize {
    width.saturating_sub(3 * slots + 1)
}

/// Gives each of `columns` a part of `room`; nothing if they cannot all have their least.
fn share(wishes: &[Wish], columns: &[usize], gap: Option<usize>, room: usize) -> Option<Vec<Slot>> {
    let wishes = || columns.iter().map(|at| wishes[*at]);
    if wishes().map(|wish| wish.least).sum::<usize>() > room {
        return None;
    }
    // The widest that any column may be, so that all together still fit.
    let capped = |cap: usize| wishes().map(move |wish| wish.natural.min(cap.max(wish.least)));
    let most = wishes().map(|wish| wish.natural).max().unwrap_or(0);
    let (mut fits, mut too_wide) = (0, most + 1);
    while too_wide - fits > 1 {
        let middle = fits.midpoint(too_wide);
        if capped(middle).sum::<usize>() <= room { fits = middle } else { too_wide = middle }
    }
    let mut left = room - capped(fits).sum::<usize>();
    let widths = capped(fits).zip(wishes()).map(|(width, wish)| {
        let more = usize::from(left > 0 && width < wish.natural);
        left -= more;
        width + more
    });
    let mut slots: Vec<Slot> =
        columns.iter().zip(widths).map(|(at, width)| Slot::Column { at: *at, width }).collect();
    if let Some(gap) = gap {
        slots.insert(gap, Slot::Gap);
    }
    Some(slots)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `6 …  9`: the widths, `…` for a gap.
    fn laid(wishes: &[(usize, usize)], width: usize) -> String {
        let wishes: Vec<Wish> =
            wishes.iter().map(|(natural, least)| Wish { natural: *natural, least: *least }).collect();
        let slots = fit(&wishes, Some(width));
        let shown = slots.iter().map(|slot| match slot {
            Slot::Column { width, .. } => width.to_string(),
            Slot::Gap => "…".to_owned(),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn wide_columns_give_way_first_and_then_the_middle_goes() {
        let three = [(4, 4), (50, 8), (20, 8)];
        assert_eq!(laid(&three, 100), "4 50 20");
        assert_eq!(laid(&three, 70), "4 36 20"); // 70 - 10 for borders
        assert_eq!(laid(&three, 41), "4 14 13");
        assert_eq!(laid(&three, 30), "4 8 8");
        assert_eq!(laid(&three, 29), "4 … 14");
        assert_eq!(laid(&three, 23), "4 … 8"); // 23 - 10 for borders - 1 for the gap
        assert_eq!(laid(&three, 22), "4 …");
        assert_eq!(laid(&three, 9), "1 …");
        assert_eq!(laid(&[(30, 8)], 12), "8");
        assert_eq!(laid(&[(30, 8)], 3), "1");
    }

    #[test]
    fn a_layout_never_exceeds_the_terminal() {
        for count in 1..9 {
            let wishes: Vec<Wish> =
                (0..count).map(|at| Wish { natural: 3 + 11 * at, least: 3 + at }).collect();
            for width in 9..200 {
                let slots = fit(&wishes, Some(width));
                let cells =
                    slots.iter().map(|slot| if let Slot::Column { width, .. } = slot { *width } else { 1 });
                let used = cells.sum::<usize>() + 3 * slots.len() + 1;
                assert!(used <= width, "{count} columns take {used} of {width}: {slots:?}");
            }
        }
    }
}
