//! Where on the screen is what.

use ratatui_core::layout::{Rect, Size};

/// Below this, there is a list or a conversation, and not both.
const TWO_PANES: u16 = 60;
/// The list has at least so many columns: the longest number, with a mark before and one behind it.
const LIST: u16 = 20;
/// Below this, there is nothing but a notice.
pub(crate) const SMALLEST: Size = Size { width: 30, height: 8 };

/// What one looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pane {
    List,
    Conversation,
    /// What is in front of both.
    Overlay,
}

/// The parts of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Account and connection.
    pub(crate) top: Rect,
    /// The list of conversations, if it is there.
    pub(crate) list: Option<Rect>,
    /// The conversation with its title, if it is there.
    pub(crate) title: Option<Rect>,
    pub(crate) letters: Option<Rect>,
    /// What has to be known.
    pub(crate) banner: Option<Rect>,
    pub(crate) composer: Option<Rect>,
    /// All below the top line but the banner, where there is nothing else.
    pub(crate) below: Rect,
}

/// Whether list and conversation stand beside each other.
pub(crate) const fn has_both(size: Size) -> bool {
    size.width >= TWO_PANES
}

/// Whether there is no room for anything but a notice.
pub(crate) const fn is_too_small(size: Size) -> bool {
    size.width < SMALLEST.width || size.height < SMALLEST.height
}

impl Layout {
    /// What a screen of this size has room for. `None` if that is nothing.
    pub(crate) fn of(size: Size, pane: Pane, banner: u16, composer: u16) -> Option<Self> {
        if is_too_small(size) {
            return None;
        }
        let Size { width, height } = size;
        let top = Rect::new(0, 0, width, 1);
        let has_both = has_both(size);
        let one = pane == Pane::Overlay || (pane == Pane::List && !has_both);
        if one {
            let banner = banner.min(height - 3);
            let below = Rect::new(0, 1, width, height - 1 - banner);
            let list = (pane == Pane::List).then_some(below);
            let banner = (banner > 0).then(|| Rect::new(0, height - banner, width, banner));
            return Some(Self { top, below, list, banner, ..Self::default() });
        }
        let most = (height / 3).max(1);
        let composer = composer.clamp(1, most);
        let banner = banner.min(height.saturating_sub(3 + composer));
        let middle = height - 1 - composer - banner;
        let list_width = if has_both { (width / 4).clamp(LIST, 32) } else { 0 };
        let left = if has_both { list_width + 1 } else { 0 };
        let list = has_both.then(|| Rect::new(0, 1, list_width, middle));
        Some(Self {
            top,
            list,
            title: Some(Rect::new(left, 1, width - left, 1)),
            letters: Some(Rect::new(left, 2, width - left, middle.saturating_sub(1))),
            banner: (banner > 0).then(|| Rect::new(0, 1 + middle, width, banner)),
            composer: Some(Rect::new(0, 1 + middle + banner, width, composer)),
            ..Self::default()
        })
    }
}
