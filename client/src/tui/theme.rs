//! Colors. Nothing is said by a color alone.

use ratatui_core::style::{Color, Modifier, Style};

/// How a screen looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Light letters on a dark ground.
    Dark,
    /// Dark letters on a light ground.
    Light,
    /// No colors.
    Plain,
}

impl Theme {
    /// What the environment says: `NO_COLOR` (no-color.org), then the ground in `COLORFGBG`, which some
    /// terminals set.
    #[must_use]
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        if variable("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            return Self::Plain;
        }
        let ground = variable("COLORFGBG");
        let ground =
            ground.as_deref().and_then(|colors| colors.rsplit(';').next()?.parse::<u8>().ok());
        match ground {
            Some(7 | 9..=15) => Self::Light,
            _ => Self::Dark,
        }
    }

    /// The one with this name.
    ///
    /// # Errors
    /// Which there are.
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "dark" => Ok(Self::Dark),
            "light" => Ok(Self::Light),
            "plain" => Ok(Self::Plain),
            _ => Err("it is dark, light or plain".to_owned()),
        }
    }

    const fn colored(self, dark: Color, light: Color) -> Style {
        match self {
            Self::Dark => Style::new().fg(dark),
            Self::Light => Style::new().fg(light),
            Self::Plain => Style::new(),
        }
    }

    pub(crate) const fn words() -> Style {
        Style::new()
    }

    /// Names, and titles.
    pub(crate) const fn name() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is less important.
    pub(crate) const fn aside(self) -> Style {
        match self {
            Self::Plain => Style::new().add_modifier(Modifier::DIM),
            theme => theme.colored(Color::Gray, Color::DarkGray),
        }
    }

    /// What somebody has to look at.
    pub(crate) const fn warning(self) -> Style {
        self.colored(Color::LightYellow, Color::Red).add_modifier(Modifier::BOLD)
    }

    /// The owner's own letters.
    pub(crate) const fn mine(self) -> Style {
        self.colored(Color::Cyan, Color::Blue)
    }

    /// Where something new begins.
    pub(crate) const fn new_mark(self) -> Style {
        self.colored(Color::LightGreen, Color::Green).add_modifier(Modifier::BOLD)
    }

    /// Squares for a camera, which wants them dark on light.
    pub(crate) const fn code(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            _ => Style::new().fg(Color::White).bg(Color::Black),
        }
    }

    /// What is chosen.
    pub(crate) const fn chosen() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_which_colors_are_right() {
        for (name, value, theme) in [
            ("NO_COLOR", "1", Theme::Plain),
            ("NO_COLOR", "", Theme::Dark),
            ("COLORFGBG", "0;15", Theme::Light),
            ("COLORFGBG", "15;default;0", Theme::Dark),
            ("COLORFGBG", "nonsense", Theme::Dark),
        ] {
            let variable = |asked: &str| (asked == name).then(|| value.to_owned());
            assert_eq!(Theme::of_environment(variable), theme, "{name}={value}");
        }
    }
}
