//! The goals as a picture: how much of what is allowed was needed.

use std::fmt::Write;

use crate::findings::{Findings, Goal};

const ROW: usize = 26;
const LABELS: usize = 430;
/// Pixels of a goal that is just met.
const WHOLE: f64 = 260.0;
/// Bars end here, however far a goal was missed.
const LONGEST: f64 = 2.0 * WHOLE;

/// An SVG with a bar for each goal. A line stands where a goal is just met.
pub(crate) fn draw(findings: &Findings) -> String {
    let goals = &findings.goals;
    let (width, height) = (LABELS as f64 + LONGEST + 150.0, ROW * goals.len() + 40);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (at, goal) in goals.iter().enumerate() {
        bar(&mut svg, at * ROW + 28, goal);
    }
    let at = LABELS as f64 + WHOLE;
    let _ = writeln!(
        svg,
        "<line x1=\"{at}\" y1=\"20\" x2=\"{at}\" y2=\"{height}\" stroke=\"black\" \
         stroke-dasharray=\"4 3\"/>\n\
         <text x=\"{at}\" y=\"14\" text-anchor=\"middle\">goal</text>\n</svg>"
    );
    svg
}

fn bar(svg: &mut String, top: usize, goal: &Goal) {
    let Goal { name, limit, reached, unit } = goal;
    let length = (reached / limit * WHOLE).clamp(1.0, LONGEST);
    let colour = if goal.is_met() { "#4a8" } else { "#d75" };
    let (text, end) = (top + 13, LABELS as f64 + length + 6.0);
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{name}</text>\n\
         <rect x=\"{LABELS}\" y=\"{top}\" width=\"{length:.0}\" height=\"18\" fill=\"{colour}\"/>\n\
         <text x=\"{end:.0}\" y=\"{text}\">{reached:.2} of {limit:.2} {unit}</text>",
        LABELS - 8
    );
}
