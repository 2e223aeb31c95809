//! The one place that writes into cells, and only what is [`Shown`].

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;

use crate::show::Shown;

/// A part of the screen that is drawn row by row.
pub(super) struct Paper<'a> {
    cells: &'a mut Buffer,
    area: Rect,
}

impl<'a> Paper<'a> {
    pub(super) fn of(cells: &'a mut Buffer, area: Rect) -> Self {
        let area = area.intersection(cells.area);
        Self { cells, area }
    }

    pub(super) const fn columns(&self) -> usize {
        self.area.width as usize
    }

    pub(super) const fn rows(&self) -> usize {
        self.area.height as usize
    }

    /// Writes a text, as much as fits from this column on.
    pub(super) fn put(&mut self, row: usize, column: usize, text: &Shown, style: Style) {
        if row >= self.rows() || column >= self.columns() {
            return;
        }
        let text = text.cut(self.columns() - column);
        let (x, y) = self.cell(row, column);
        self.cells.set_stringn(x, y, text.as_str(), self.columns() - column, style);
    }

    /// Writes a text so that it ends at the end of the row; the columns before it.
    pub(super) fn put_right(&mut self, row: usize, text: &Shown, style: Style) -> usize {
        let start = self.columns().saturating_sub(text.width());
        self.put(row, start, text, style);
        start
    }

    /// Changes how a whole row looks.
    pub(super) fn restyle(&mut self, row: usize, style: Style) {
        if row < self.rows() {
            let (x, y) = self.cell(row, 0);
            self.cells.set_style(Rect::new(x, y, self.area.width, 1), style);
        }
    }

    /// Where a cell is on the screen.
    pub(super) fn cell(&self, row: usize, column: usize) -> (u16, u16) {
        let within = |at: usize, len: u16| u16::try_from(at).unwrap_or(u16::MAX).min(len);
        let (column, row) = (within(column, self.area.width), within(row, self.area.height));
        (self.area.x + column, self.area.y + row)
    }
}
