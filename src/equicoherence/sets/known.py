"""All data sets that are known, in the order in which they are looked for."""

from equicoherence.sets.ade20k import ADE20K
from equicoherence.sets.camvid import CAMVID
from equicoherence.sets.coco import COCO, COCO_IMAGES
from equicoherence.sets.coco128 import COCO128
from equicoherence.sets.davis import DAVIS_2016, DAVIS_2017
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.kitti_depth import KITTI_DEPTH
from equicoherence.sets.mpii import MPII_SET
from equicoherence.sets.nyuv2 import NYUV2
from equicoherence.sets.nyuv2_labelled import NYUV2_LABELLED
from equicoherence.sets.photographs import PHOTOGRAPHS
from equicoherence.sets.rendered_depth import RENDERED_DEPTH
from equicoherence.sets.rendered_detection import RENDERED_DETECTION
from equicoherence.sets.rendered_keypoints import RENDERED_KEYPOINTS
from equicoherence.sets.rendered_segmentation import RENDERED_SEGMENTATION
from equicoherence.sets.rendered_video import RENDERED_VIDEO
from equicoherence.sets.sevenscenes import SEVEN_SCENES
from equicoherence.sets.tiny_imagenet_boxes import TINY_IMAGENET_BOXES
from equicoherence.sets.vip import VIP_FINE
from equicoherence.sets.voc2012 import VOC_2012

DECLARATIONS: tuple[Declaration, ...] = (
    ADE20K,
    CAMVID,
    COCO,
    COCO_IMAGES,
    COCO128,
    DAVIS_2016,
    DAVIS_2017,
    KITTI_DEPTH,
    MPII_SET,
    RENDERED_KEYPOINTS,
    NYUV2,
    NYUV2_LABELLED,
    RENDERED_DEPTH,
    RENDERED_DETECTION,
    RENDERED_SEGMENTATION,
    RENDERED_VIDEO,
    SEVEN_SCENES,
    TINY_IMAGENET_BOXES,
    VIP_FINE,
    VOC_2012,
    PHOTOGRAPHS,
)
