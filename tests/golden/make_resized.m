% What GNU Octave's image package makes of the three pictures: octave-cli make_resized.m, in this folder.
pkg load image
warning ("off", "all");
out = struct ();

% One axis of a picture. An edge that is replicated was padded so before; the padding is cut off again: 24 is a
% multiple of 2, 3, 4 and 8.
function y = axis_resized (x, dim, factor, edge)
  pad = 24 * strcmp (edge, "replicate");
  amount = [0 0];
  amount(dim) = pad;
  x = padarray (x, amount, "replicate");
  target = [size(x, 1) size(x, 2)];
  target(dim) = round (target(dim) * factor);
  y = imresize (x, target);
  cut = round (pad * factor);
  if (dim == 1)
    y = y(1 + cut : end - cut, :, :);
  else
    y = y(:, 1 + cut : end - cut, :);
  endif
endfunction

for name = {"astronaut", "coffee", "camera"}
  x = imread ([name{1} ".png"]);
  for scale = [2 3 4 8]
    whole = x(1 : floor (end / scale) * scale, 1 : floor (size (x, 2) / scale) * scale, :);
    for edge = {"symmetric", "replicate"}
      key = sprintf ("%s_down%d_%s", name{1}, scale, edge{1});
      rows = axis_resized (whole, 1, 1 / scale, edge{1});  % uint8 stays uint8: rounded after each pass
      out.([key "_per_pass"]) = axis_resized (rows, 2, 1 / scale, edge{1});
      exact = axis_resized (axis_resized (double (whole), 1, 1 / scale, edge{1}), 2, 1 / scale, edge{1});
      out.([key "_once"]) = uint8 (exact);
      if (strcmp (name{1}, "astronaut"))
        out.([key "_none"]) = single (exact(:, :, 2));
        small = double (x(1 : 48 / 8, 1 : 48 / 8, 2));
        large = axis_resized (axis_resized (small, 1, scale, edge{1}), 2, scale, edge{1});
        out.(sprintf ("%s_up%d_%s_none", name{1}, scale, edge{1})) = single (large);
      endif
    endfor
  endfor
  if (size (x, 3) == 3)
    out.([name{1} "_ycbcr"]) = rgb2ycbcr (x);
    luma = double (rgb2ycbcr (x)(1 : 48, 1 : floor (end / 3) * 3, 1));  % y_matlab's LR is made of rounded luma, in double precision
    out.([name{1} "_luma_down3"]) = single (axis_resized (axis_resized (luma, 1, 1 / 3, "symmetric"), 2, 1 / 3, "symmetric"));
    out.([name{1} "_ycbcr_exact"]) = single (rgb2ycbcr (double (x) / 255)(1:16, 1:16, :));
  endif
endfor
save ("-v7", "resized.mat", "-struct", "out");
