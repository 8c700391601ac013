/* The roofline as SVG: what the machine can do at most against operations per byte read, both axes
 * logarithmic, and where the runs lie under it. Nothing but rectangles, lines, circles and text. */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum {
    SVG_WIDTH = 860,
    SVG_HEIGHT = 560,
    SVG_LEFT = 70,
    SVG_RIGHT = 840,
    SVG_TOP = 60,
    SVG_BOTTOM = 500,
    SVG_LINE = 14 /* between two lines of text */
};

struct drawing {
    struct bytes text;
    bool good;
    double low_x, high_x, low_y, high_y; /* logarithms to base 10: operations a byte; Tops */
};

/* A run on its place; the labels of those near each other are moved apart. */
struct svg_point {
    const struct bench_run *run;
    double x, y, label_y;
    bool at_right; /* its label stands left of it */
};

static void add_escaped(struct drawing *d, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        const char *name = byte == '<'   ? "&lt;"
                           : byte == '>' ? "&gt;"
                           : byte == '&' ? "&amp;"
                                         : NULL;
        if (name)
            d->good = d->good && bytes_add(&d->text, name, strlen(name));
        else
            d->good = d->good && bytes_add(&d->text, byte < 32 || byte > 126 ? "?" : c, 1);
    }
}

static double place_x(const struct drawing *d, double x)
{
    return SVG_LEFT + (log10(x) - d->low_x) / (d->high_x - d->low_x) * (SVG_RIGHT - SVG_LEFT);
}

static double place_y(const struct drawing *d, double y)
{
    return SVG_BOTTOM - (log10(y) - d->low_y) / (d->high_y - d->low_y) * (SVG_BOTTOM - SVG_TOP);
}

static void add_line(struct drawing *d, const char *style, double x1, double y1, double x2,
                     double y2)
{
    d->good = d->good &&
              bench_add(&d->text, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n",
                        x1, y1, x2, y2, style);
}

static void add_text(struct drawing *d, double x, double y, const char *style, const char *text)
{
    d->good = d->good && bench_add(&d->text, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, style);
    add_escaped(d, text);
    d->good = d->good && bench_add(&d->text, "</text>\n");
}

static double run_x(const struct bench_run *run)
{
    return run->operations / run->bytes;
}

static double run_y(const struct bench_run *run)
{
    return bench_int8_rate(run) / 1e12;
}

/* The axes hold every run and every roof's ridge, with room around. */
static void choose_axes(struct drawing *d, const struct bench *bench)
{
    double low_x = HUGE_VAL, high_x = 0, low_y = HUGE_VAL, high_y = 0;
    for (size_t i = 0; i < bench->n_runs; i++) {
        low_x = fmin(low_x, run_x(&bench->runs[i]));
        high_x = fmax(high_x, run_x(&bench->runs[i]));
        low_y = fmin(low_y, run_y(&bench->runs[i]));
        high_y = fmax(high_y, run_y(&bench->runs[i]));
    }
    for (uint32_t i = 0; i < bench->threads.n; i++) {
        double ridge = bench->machine[i].int8_rate / bench->machine[i].read_rate;
        low_x = fmin(low_x, ridge);
        high_x = fmax(high_x, ridge);
        high_y = fmax(high_y, bench->machine[i].int8_rate / 1e12);
    }
    d->low_x = log10(low_x) - 0.3;
    d->high_x = log10(high_x) + 0.6;
    d->low_y = log10(low_y) - 0.5;
    d->high_y = log10(high_y) + 0.2;
}

static void draw_axes(struct drawing *d)
{
    static const char grid[] = "stroke=\"#e4e4e4\"";
    static const double steps[] = {1, 2, 5};
    char label[32];
    for (int power = -9; power <= 9; power++)
        for (size_t i = 0; i < 3; i++) {
            double value = steps[i] * pow(10, power);
            (void)snprintf(label, sizeof label, "%g", value);
            if (log10(value) >= d->low_x && log10(value) <= d->high_x) {
                double x = place_x(d, value);
                add_line(d, grid, x, SVG_TOP, x, SVG_BOTTOM);
                add_text(d, x, SVG_BOTTOM + 16, "text-anchor=\"middle\" fill=\"#555\"", label);
            }
            if (log10(value) >= d->low_y && log10(value) <= d->high_y) {
                double y = place_y(d, value);
                add_line(d, grid, SVG_LEFT, y, SVG_RIGHT, y);
                add_text(d, SVG_LEFT - 8, y + 4, "text-anchor=\"end\" fill=\"#555\"", label);
            }
        }
    add_line(d, "stroke=\"#555\"", SVG_LEFT, SVG_BOTTOM, SVG_RIGHT, SVG_BOTTOM);
    add_line(d, "stroke=\"#555\"", SVG_LEFT, SVG_TOP, SVG_LEFT, SVG_BOTTOM);
    add_text(d, (SVG_LEFT + SVG_RIGHT) / 2.0, SVG_BOTTOM + 40, "text-anchor=\"middle\"",
             "operations per byte read");
    add_text(d, SVG_LEFT, SVG_TOP - 10, "", "Tops");
}

static void draw_roof(struct drawing *d, const struct bench *bench, uint32_t which)
{
    static const char roof[] = "stroke=\"#222\" stroke-width=\"1.5\"";
    const struct limits *limits = &bench->machine[which];
    double ridge = limits->int8_rate / limits->read_rate, peak = limits->int8_rate / 1e12;
    double slope = limits->read_rate / 1e12;
    /* The slope begins where it comes up through the lower edge, or at the left one. */
    double first = fmax(pow(10, d->low_x), pow(10, d->low_y) / slope);
    char label[96];
    add_line(d, roof, place_x(d, first), place_y(d, first * slope), place_x(d, ridge),
             place_y(d, peak));
    add_line(d, roof, place_x(d, ridge), place_y(d, peak), SVG_RIGHT, place_y(d, peak));
    (void)snprintf(label, sizeof label, "%u thread%s: int8 %.3g Tops, reads %.3g GB/s",
                   bench->threads.values[which], bench->threads.values[which] == 1 ? "" : "s", peak,
                   limits->read_rate / 1e9);
    add_text(d, SVG_RIGHT, place_y(d, peak) - 5, "text-anchor=\"end\" fill=\"#222\"", label);
}

/* Labels from top to bottom, each at least a line below the one before on its side. */
static void spread_labels(struct svg_point *points, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && points[j - 1].y > points[j].y; j--) {
            struct svg_point swapped = points[j];
            points[j] = points[j - 1];
            points[j - 1] = swapped;
        }
    double next[2] = {SVG_TOP, SVG_TOP};
    for (size_t i = 0; i < n; i++) {
        double *least = &next[points[i].at_right];
        points[i].label_y = fmax(points[i].y, *least);
        *least = points[i].label_y + SVG_LINE;
    }
}

static void draw_point(struct drawing *d, const struct svg_point *point)
{
    const struct bench_run *run = point->run;
    const char *colour = run->what == BENCH_PREFILL ? "#c2571a" : "#1f5fa8";
    char label[128], style[128], depth[32] = "";
    double x = point->x + (point->at_right ? -26 : 26);
    if (run->depth)
        (void)snprintf(depth, sizeof depth, " at depth %u", run->depth);
    (void)snprintf(label, sizeof label, "%s %u%s, %u thr., chunk %u: %.4g tok/s, %.0f %%",
                   bench_what_name(run->what), run->tokens, depth, run->threads, run->chunk,
                   run->tok_s, 100 * bench_share(run));
    (void)snprintf(style, sizeof style,
                   "text-anchor=\"%s\" fill=\"%s\" stroke=\"#fff\" stroke-width=\"3\" "
                   "paint-order=\"stroke\"",
                   point->at_right ? "end" : "start", colour);
    d->good =
        d->good && bench_add(&d->text, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n",
                             point->x, point->y, colour);
    add_line(d, "stroke=\"#999\"", point->x, point->y, x, point->label_y);
    add_text(d, x + (point->at_right ? -3 : 3), point->label_y + 4, style, label);
}

static void draw(struct drawing *d, const struct bench *bench)
{
    enum { SVG_MAX_POINTS = 128 }; /* more cannot be read */
    struct svg_point points[SVG_MAX_POINTS];
    char title[256];
    size_t n = bench->n_runs < SVG_MAX_POINTS ? bench->n_runs : SVG_MAX_POINTS;
    (void)snprintf(title, sizeof title, "%s, %s: sprat %s, %s, numerics %s",
                   bench->loaded.info.name, bench->loaded.info.types, sprat_version_text(),
                   bench->cpu, bench->work.int8 ? "int8" : "f32");
    d->good =
        d->good && bench_add(&d->text,
                             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                             "font-family=\"sans-serif\" font-size=\"12\">\n"
                             "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
                             SVG_WIDTH, SVG_HEIGHT);
    add_text(d, SVG_LEFT, 24, "font-size=\"14\"", title);
    choose_axes(d, bench);
    draw_axes(d);
    for (uint32_t i = 0; i < bench->threads.n; i++)
        draw_roof(d, bench, i);
    for (size_t i = 0; i < n; i++) {
        const struct bench_run *run = &bench->runs[i];
        double x = place_x(d, run_x(run));
        points[i] =
            (struct svg_point){run, x, place_y(d, run_y(run)), 0, x > (SVG_LEFT + SVG_RIGHT) / 2.0};
    }
    spread_labels(points, n);
    for (size_t i = 0; i < n; i++)
        draw_point(d, &points[i]);
    d->good = d->good && bench_add(&d->text, "</svg>\n");
}

int bench_svg(const struct bench *bench, const char *path)
{
    struct drawing d = {.good = true};
    draw(&d, bench);
    if (!d.good) {
        bytes_end(&d.text);
        return fail("no memory for the drawing");
    }
    FILE *file = fopen(path, "wb");
    bool good = file && fwrite(d.text.data, 1, d.text.len, file) == d.text.len;
    int error = errno;
    if (file && fclose(file) != 0 && good) {
        good = false;
        error = errno;
    }
    bytes_end(&d.text);
    return good ? 0 : fail("cannot write %s: %s", path, strerror(error));
}
