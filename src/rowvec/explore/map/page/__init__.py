"""The map as one HTML file that needs nothing else: a template, its style and its two scripts.

`point_map.js` is the canvas with the points, `map_page.js` what stands around it; both say at their
top how they are used, so that other pages may have them.
"""
